//! How a gateway on the machine of the server reaches the server: by its Unix sockets, then by TCP.

/// What decides how the server can be reached, and who logs in.
pub struct Login<'a> {
    /// The parameters `unix_socket_directories`, `listen_addresses` and `port`, as Postgres shows them.
    pub socket_directories: &'a str,
    pub listen_addresses: &'a str,
    pub port: &'a str,
    pub role: &'a str,
    pub database: &'a str,
    pub password: &'a str,
}

impl Login<'_> {
    /// Returns the connection strings to be tried, in this order.
    pub fn dsns(&self) -> Vec<String> {
        let Self { port, role, database, password, .. } = self;
        let [port, role, database, password] = [port, role, database, password].map(|value| quoted(value));
        let dsn = |host: String| {
            let host = quoted(&host);
            format!("host={host} port={port} user={role} dbname={database} password={password}")
        };
        self.hosts().into_iter().map(dsn).collect()
    }

    fn hosts(&self) -> Vec<String> {
        let mut hosts = list(self.socket_directories);
        for address in list(self.listen_addresses) {
            let loopback: &[&str] = match address.as_str() {
                "*" | "localhost" => &["127.0.0.1", "::1"],
                "0.0.0.0" => &["127.0.0.1"],
                "::" => &["::1"],
                other => &[other],
            };
            hosts.extend(loopback.iter().map(|host| (*host).to_owned()));
        }
        let all = hosts.clone();
        let mut places = 0..;
        hosts.retain(|host| all.iter().position(|other| other == host) == places.next());
        hosts
    }

    /// Returns a line of `pg_hba.conf` with which the first of the connection strings would work.
    pub fn pg_hba_line(&self) -> String {
        match self.hosts().first() {
            Some(host) if !host.starts_with(['/', '@']) => {
                let bits = if host.contains(':') { 128 } else { 32 };
                format!("host {} {} {host}/{bits} scram-sha-256", hba_name(self.database), self.role)
            }
            _ => format!("local {} {} scram-sha-256", hba_name(self.database), self.role),
        }
    }
}

/// Splits a list of names, which may be in double quotes.
fn list(setting: &str) -> Vec<String> {
    let unquoted = |entry: &str| match entry.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        Some(inner) => inner.replace("\"\"", "\""),
        None => entry.to_owned(),
    };
    setting.split(',').map(str::trim).filter(|entry| !entry.is_empty()).map(unquoted).collect()
}

/// A value of a connection string.
fn quoted(value: &str) -> String {
    format!("'{}'", value.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A name in `pg_hba.conf`. In quotes, names such as `all` lose their meaning.
fn hba_name(name: &str) -> String {
    let is_plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    let is_keyword = ["all", "sameuser", "samerole", "samegroup", "replication"].contains(&name);
    if is_plain && !is_keyword { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login<'a>(socket_directories: &'a str, listen_addresses: &'a str, database: &'a str) -> Login<'a> {
        let (port, role, password) = ("5432", "gateway", "secret");
        Login { socket_directories, listen_addresses, port, role, database, password }
    }

    #[test]
    fn sockets_come_first_and_then_loopback() {
        let hosts = |sockets, addresses| login(sockets, addresses, "app").hosts();
        assert_eq!(hosts("/run/postgresql, /tmp", "localhost"), ["/run/postgresql", "/tmp", "127.0.0.1", "::1"]);
        assert_eq!(hosts("\"/a \"\"b\"\"\"", ""), ["/a \"b\""]);
        assert_eq!(hosts("", "*"), ["127.0.0.1", "::1"]);
        assert_eq!(hosts("", "0.0.0.0, ::, 10.1.2.3"), ["127.0.0.1", "::1", "10.1.2.3"]);
        assert_eq!(hosts("/tmp", "localhost, 127.0.0.1"), ["/tmp", "127.0.0.1", "::1"]);
    }

    #[test]
    fn values_of_a_connection_string_are_quoted() {
        assert_eq!(
            login("/tmp", "", "it's a\\b").dsns(),
            [r"host='/tmp' port='5432' user='gateway' dbname='it\'s a\\b' password='secret'"]
        );
    }

    #[test]
    fn the_line_for_pg_hba_fits_the_first_connection() {
        assert_eq!(login("/tmp", "*", "app").pg_hba_line(), "local app gateway scram-sha-256");
        assert_eq!(login("", "*", "app").pg_hba_line(), "host app gateway 127.0.0.1/32 scram-sha-256");
        assert_eq!(login("", "::", "App").pg_hba_line(), "host \"App\" gateway ::1/128 scram-sha-256");
        assert_eq!(login("/tmp", "", "all").pg_hba_line(), "local \"all\" gateway scram-sha-256");
        assert_eq!(login("@name", "", "a\"b").pg_hba_line(), "local \"a\"\"b\" gateway scram-sha-256");
    }
}

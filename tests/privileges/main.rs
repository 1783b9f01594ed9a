//! The rights of each role, and attempts of roles without superuser rights to get more.
//!
//! Code planted by an attacker writes into the table `loot` which role ran it.

use std::sync::OnceLock;

use postgres::Client;
use testkit::receiver::{Answer, Receiver};
use testkit::{Bench, Cluster, PATIENCE, run, wait_for_empty_queue};

mod attacks;
mod creation;
mod doubles;
mod granted;
mod leaks;
mod secrets;
mod sessions;

const PATH: &str = "/";

/// Roles that can log in and create objects in the schema `public`. Their names say which group they are in.
const PEOPLE: [&str; 6] = ["stranger", "emitter", "member", "analyst", "admin", "landlord"];

const LOOT: &str = "
    CREATE TABLE public.loot (what text, who text, process text);
    GRANT INSERT ON public.loot TO PUBLIC;
    CREATE FUNCTION public.loot(what text) RETURNS boolean LANGUAGE plpgsql SET search_path = pg_catalog AS $$
    BEGIN
        INSERT INTO public.loot
        SELECT what, current_user, backend_type FROM pg_stat_activity WHERE pid = pg_backend_pid();
        RETURN true;
    END $$";

fn cluster() -> &'static Cluster {
    static CLUSTER: OnceLock<Cluster> = OnceLock::new();
    CLUSTER.get_or_init(|| {
        let cluster = Cluster::start_shared(&[]);
        let mut superuser = cluster.connect("postgres");
        run(&mut superuser, "CREATE ROLE stranger LOGIN; CREATE ROLE landlord LOGIN");
        for role in ["emitter", "member", "analyst", "admin"] {
            run(&mut superuser, &format!("CREATE ROLE {role} LOGIN IN ROLE hydra_{role}"));
        }
        cluster
    })
}

/// A database of the landlord, without the extension.
fn empty_database(name: &str) -> Client {
    run(&mut cluster().connect("postgres"), &format!("CREATE DATABASE {name} OWNER landlord"));
    let mut superuser = cluster().connect(name);
    run(&mut superuser, LOOT);
    for role in PEOPLE {
        run(&mut superuser, &format!("GRANT CREATE ON SCHEMA public TO {role}"));
    }
    superuser
}

/// The same with the extension and a subscription.
fn bench(database: &str) -> Bench<'static> {
    let client = empty_database(database);
    let mut bench = Bench { cluster: cluster(), database: database.into(), client, receiver: Receiver::start() };
    bench.run("CREATE EXTENSION hydra_webhooks");
    bench.subscribe(PATH, "ticket.created", &["retry_schedule => '{0.1 s}'"]);
    bench
}

/// An event arrives all the same. Its first attempt fails, so that the dispatcher uses all its tables.
#[track_caller]
fn assert_delivers(client: &mut Client, receiver: &Receiver) {
    receiver.clear();
    receiver.answer_first(PATH, 1, Answer::status(500));
    run(client, "SELECT hydra.webhook_emit('ticket.created', '{}')");
    receiver.wait_for(PATH, 2, PATIENCE);
    wait_for_empty_queue(client);
}

/// Which roles ran planted code.
fn loot(superuser: &mut Client) -> Vec<String> {
    let rows = superuser.query(
        "SELECT DISTINCT pg_catalog.concat_ws(' ', what, 'as', who, 'in', process) FROM public.loot ORDER BY 1",
        &[],
    );
    rows.expect("loot can be read").iter().map(|row| row.get(0)).collect()
}

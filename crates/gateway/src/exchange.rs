//! One request: from what the client sent to what it gets.

use std::convert::Infallible;
use std::net::IpAddr;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use futures_util::FutureExt;
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONNECTION, COOKIE, HOST, HeaderValue, LOCATION, ORIGIN, SET_COOKIE};
use hyper::{HeaderMap, Request, Response};
use serde_json::json;
use sha2::{Digest, Sha256};
use wire::token::{self, Kind, is_well_formed};

use crate::admission;
use crate::answer::{Answer, Instructions, Shown, request_id};
use crate::body::{self, Sent};
use crate::call::{Call, Reply};
use crate::cookie::{self, Transport};
use crate::credentials::{Memory, Stored};
use crate::explain;
use crate::forwarded;
use crate::framing::Fault;
use crate::gateway::{Gateway, Live};
use crate::guard::REFUSED;
use crate::health;
use crate::place::Way;
use crate::pool::Purpose;
use crate::problem::Problem;
use crate::route::{self, Route, Surface};
use crate::wanted;

/// Headers that are about the connection, and credentials, which are passed as a hash only.
const NOT_PASSED: [&str; 11] = [
    "authorization",
    "connection",
    "cookie",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The other end of the connection that a request came on.
#[derive(Debug, Clone, Copy)]
pub struct Peer {
    pub address: IpAddr,
    pub tls: bool,
}

/// Answers a request, whatever happens, and logs it.
pub async fn answer(
    gateway: Arc<Gateway>,
    peer: Peer,
    request: Request<Incoming>,
) -> Result<Response<Sent>, Infallible> {
    let began = Instant::now();
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    let shown = match Route::of(&path) {
        Route::Surface(Surface::Console) | Route::Link(_) => Shown::Settings,
        Route::Surface(Surface::Rest) if explain::is_person(&path, request.headers()) => Shown::Api,
        _ => Shown::Data,
    };
    gateway.requests.fetch_add(1, Ordering::Relaxed);
    let id = request_id(text(request.headers(), "x-request-id"));
    let live = gateway.live();
    let client = client(&live, peer, request.headers());
    let exchange = Exchange { gateway: &gateway, live: &live, peer, client };
    let answered = AssertUnwindSafe(exchange.answer(request)).catch_unwind().await;
    let answer = match answered {
        Ok(Ok(answer)) => answer,
        Ok(Err(problem)) => Answer::problem(&problem, &id, shown),
        // The message of the panic was printed when it happened.
        Err(_) => Answer::problem(&Problem::internal(), &id, shown),
    };
    gateway.log.event(
        "info",
        "request",
        json!({
            "method": method.as_str(),
            "path": route::shown(&path),
            "status": answer.status(),
            "ms": (began.elapsed().as_secs_f64() * 1e6).round() / 1e3,
            "bytes": answer.length(),
            "request_id": answer.request_id(),
            "key": answer.key,
            "client": client.to_string(),
        }),
    );
    let mut response = answer.into_response();
    response.body_mut().count(&gateway.unread);
    if gateway.is_ending() {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    Ok(response)
}

fn client(live: &Live, peer: Peer, headers: &HeaderMap) -> IpAddr {
    let forwarded = texts(headers, "x-forwarded-for").collect::<Vec<_>>();
    forwarded::client(peer.address, &live.settings.trusted_proxies, forwarded.into_iter())
}

/// The values of a header. One that is not text is none.
fn texts<'a>(headers: &'a HeaderMap, name: &str) -> impl Iterator<Item = &'a str> {
    headers.get_all(name).into_iter().filter_map(|value| value.to_str().ok())
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    texts(headers, name).next()
}

pub struct Exchange<'a> {
    pub gateway: &'a Gateway,
    pub live: &'a Live,
    peer: Peer,
    pub client: IpAddr,
}

impl Exchange<'_> {
    async fn answer(&self, request: Request<Incoming>) -> Result<Answer, Problem> {
        if let Some(number) = text(request.headers(), REFUSED) {
            let fault = number.parse().ok().and_then(|number: usize| Fault::ALL.get(number).copied());
            return Err(fault.unwrap_or(Fault::Header).into());
        }
        let path = request.uri().path().to_owned();
        match Route::of(&path) {
            Route::Alive => Ok(Answer::text(200, "alive\n")),
            Route::Ready => health::ready(self.gateway).await,
            Route::Root if matches!(request.method().as_str(), "GET" | "HEAD") => {
                Ok(Answer::root(explain::wants_page(request.headers())))
            }
            Route::Root => Err(Problem::method_not_allowed("GET")),
            Route::Unknown => Err(Problem::not_found()),
            Route::Inbound(token) => {
                let _share = self.gateway.begin()?;
                self.inbound(request, token).await
            }
            route => {
                let _share = self.gateway.begin()?;
                let way = self.way(request.headers());
                way.check_host(self.live.settings.public_url.as_ref())?;
                match route {
                    Route::Stylesheet if request.method() == "GET" || request.method() == "HEAD" => {
                        Ok(Answer::stylesheet())
                    }
                    Route::Stylesheet => Err(Problem::method_not_allowed("GET")),
                    Route::Surface(Surface::Console) => {
                        let transport = self.transport(&request)?;
                        let session = session(request.headers(), transport);
                        self.console(request, &path, session, transport).await
                    }
                    Route::Link(token) => {
                        let transport = self.transport(&request)?;
                        let link = is_well_formed(Kind::Link, token).then(|| hash(token));
                        self.console(request, "/login", link, transport).await
                    }
                    Route::Surface(Surface::Mcp) => self.mcp(request).await,
                    _ => self.rest(request).await,
                }
            }
        }
    }

    pub fn way<'a>(&self, headers: &'a HeaderMap) -> Way<'a> {
        Way {
            tls: self.peer.tls,
            client: self.client,
            trusted: self.live.settings.trusted_proxies.contains(self.peer.address),
            forwarded_proto: text(headers, "x-forwarded-proto"),
            forwarded: headers.contains_key("x-forwarded-for") || headers.contains_key("forwarded"),
            host: headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default(),
        }
    }

    /// Returns how the browser is reached, if this is a request of our own pages.
    pub fn transport(&self, request: &Request<Incoming>) -> Result<Transport, Problem> {
        let (headers, public) = (request.headers(), self.live.settings.public_url.as_ref());
        let way = self.way(headers);
        let transport = way.transport(public)?;
        if !matches!(request.method().as_str(), "GET" | "HEAD") {
            // A value that is not text is that of another origin.
            let origin = headers.get(ORIGIN).map(|origin| origin.to_str().unwrap_or_default());
            let site = headers.get("sec-fetch-site").map(|site| site.to_str().unwrap_or_default());
            way.check_origin(public, site, origin)?;
        }
        Ok(transport)
    }

    async fn console(
        &self,
        request: Request<Incoming>,
        path: &str,
        credential: Option<[u8; 32]>,
        transport: Transport,
    ) -> Result<Answer, Problem> {
        // Everybody may end a session, also one that there is not.
        let is_open = path == "/logout";
        let stored = credential.map(|credential| token::stored(&credential));
        let memory = self.meet(stored.as_ref());
        let is_wanted = request.method() == "GET" && wanted::is_page(path);
        if !is_open && (stored.is_none() || memory == Memory::Refused) {
            let problem = Problem::unauthenticated();
            return Err(match is_wanted {
                true => problem.with_header("set-cookie", transport.keep_wanted(path)),
                false => problem,
            });
        }
        let wanted = cookie::find(texts(request.headers(), COOKIE.as_str()), transport.wanted_name());
        let wanted = wanted.filter(|page| path == "/login" && wanted::is_page(page)).map(str::to_owned);
        let purpose = match memory {
            // Also of a visitor whom this gateway does not know yet: a test may take longer than other requests.
            _ if request.method() == "POST" && route::is_send_test(path) => Purpose::Test,
            Memory::Known => Purpose::Known,
            _ => Purpose::Stranger,
        };
        let mut reply = self.ask(request, Surface::Console, path, credential, purpose).await?;
        let instructions = Instructions::take(&mut reply.headers);
        if let Some(stored) = stored {
            // A link is used once, so it need not be remembered.
            self.gateway.remember(stored, reply.status, path != "/login", None);
        }
        match (reply.status, wanted) {
            (401, _) if is_wanted => reply.headers.push(set_cookie(transport.keep_wanted(path))),
            (303, Some(page)) => {
                reply.headers.retain(|(name, _)| name != LOCATION.as_str());
                reply.headers.extend([(LOCATION.to_string(), page), set_cookie(transport.forget_wanted())]);
            }
            _ => {}
        }
        Answer::page(reply, &instructions, transport)
    }

    async fn rest(&self, request: Request<Incoming>) -> Result<Answer, Problem> {
        if explain::is_form(&request) {
            return self.explain(request).await;
        }
        self.pass_on(request, Surface::Rest).await
    }

    /// Passes on a request with a key in its header.
    pub async fn pass_on(&self, request: Request<Incoming>, surface: Surface) -> Result<Answer, Problem> {
        let credential = admission::credential(bearer(request.headers()))?;
        let path = request.uri().path().to_owned();
        let ask = async |purpose| self.ask(request, surface, &path, Some(credential), purpose).await;
        self.with_key(credential, ask).await
    }

    /// Answers a request with a key: counts it, unless the key has used up its requests.
    pub async fn with_key(
        &self,
        credential: [u8; 32],
        ask: impl AsyncFnOnce(Purpose) -> Result<Reply, Problem>,
    ) -> Result<Answer, Problem> {
        let admitted = self.gateway.admit(credential)?;
        let mut reply = ask(admitted.purpose).await?;
        let (instructions, left) = self.gateway.settle(admitted, &mut reply);
        if reply.status == 401 {
            // As a key that is not well formed is answered; a person gets a page.
            return Err(Problem::unauthenticated());
        }
        let mut answer = Answer::rest(reply, left, &instructions)?;
        answer.key = instructions.key.map(|key| key.id);
        Ok(answer)
    }

    pub fn meet(&self, stored: Option<&Stored>) -> Memory {
        stored.map_or(Memory::Stranger, |stored| self.gateway.credentials.meet(stored, Instant::now()))
    }

    /// Reads the rest of the request and passes it on.
    pub async fn ask(
        &self,
        request: Request<Incoming>,
        surface: Surface,
        path: &str,
        credential: Option<[u8; 32]>,
        purpose: Purpose,
    ) -> Result<Reply, Problem> {
        let settings = &self.live.settings;
        let (head, body) = request.into_parts();
        let received =
            body::receive(body, settings.max_request, settings.request_timeout, &self.gateway.bodies).await?;
        let call = Call {
            surface: surface.name(),
            credential,
            method: head.method.as_str().to_owned(),
            path: path.to_owned(),
            query: head.uri.query().map(str::to_owned),
            headers: passed(&head.headers),
            body: received.bytes.clone(),
            peer: Some(self.client),
        };
        self.gateway.ask(&call, purpose).await
    }
}

/// Returns the headers that are passed on, in their order. Values are passed as text: bytes that are not UTF-8 are read
/// as Latin-1, which is what they were before headers had an encoding.
fn passed(headers: &HeaderMap) -> Vec<(String, String)> {
    let named: Vec<&str> =
        texts(headers, CONNECTION.as_str()).flat_map(|value| value.split(',')).map(str::trim).collect();
    let is_passed =
        |name: &str| !NOT_PASSED.contains(&name) && !named.iter().any(|other| other.eq_ignore_ascii_case(name));
    let value = |value: &HeaderValue| match std::str::from_utf8(value.as_bytes()) {
        Ok(text) => text.to_owned(),
        Err(_) => value.as_bytes().iter().map(|&byte| char::from(byte)).collect(),
    };
    headers
        .iter()
        .filter(|(name, _)| is_passed(name.as_str()))
        .map(|(name, v)| (name.as_str().to_owned(), value(v)))
        .collect()
}

fn set_cookie(cookie: String) -> (String, String) {
    (SET_COOKIE.to_string(), cookie)
}

fn session(headers: &HeaderMap, transport: Transport) -> Option<[u8; 32]> {
    let session = cookie::find(texts(headers, COOKIE.as_str()), transport.cookie_name())?;
    is_well_formed(Surface::Console.token(), session).then(|| hash(session))
}

/// Returns the key of the header `Authorization`, of which there may be one.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut values = headers.get_all(AUTHORIZATION).into_iter();
    let (scheme, key) = values.next()?.to_str().ok()?.split_once(' ')?;
    (values.next().is_none() && scheme.eq_ignore_ascii_case("bearer")).then_some(key.trim_start())
}

pub fn hash(secret: &str) -> [u8; 32] {
    Sha256::digest(secret).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |&(name, value)| {
            (hyper::header::HeaderName::from_static(name), HeaderValue::from_bytes(str::as_bytes(value)).unwrap())
        };
        pairs.iter().map(pair).collect()
    }

    #[test]
    fn neither_credentials_nor_headers_of_the_connection_are_passed() {
        let all = headers(&[
            ("host", "x"),
            ("authorization", "Bearer k"),
            ("cookie", "hydra=s"),
            ("connection", "keep-alive, X-Hop"),
            ("x-hop", "1"),
            ("transfer-encoding", "chunked"),
            ("x-b", "1"),
            ("x-b", "2"),
            ("x-a", "ä"),
        ]);
        let expected = [("host", "x"), ("x-b", "1"), ("x-b", "2"), ("x-a", "ä")];
        assert_eq!(passed(&all), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn a_key_is_read_off_the_only_authorization() {
        assert_eq!(bearer(&headers(&[("authorization", "bearer  k")])), Some("k"));
        for pairs in [
            &[("authorization", "Basic k")][..],
            &[("authorization", "k")],
            &[("authorization", "Bearer a"), ("authorization", "Bearer a")],
            &[],
        ] {
            assert_eq!(bearer(&headers(pairs)), None, "{pairs:?}");
        }
    }
}

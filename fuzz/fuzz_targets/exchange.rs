//! A whole attempt: the sender makes a request to a receiver on loopback, which answers with the input and closes the
//! connection.
#![no_main]

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, LazyLock, Mutex};
use std::thread;
use std::time::{Duration, UNIX_EPOCH};

use libfuzzer_sys::fuzz_target;
use sender::destination::AllowedNetwork;
use sender::{Bell, DestinationPolicy, Limits, Roots, Sender};
use wire::attempt::{Attempt, EXCERPT_BYTES, ErrorClass, Outcome};
use wire::ids::{DeliveryId, EventKey, SubscriptionId};
use wire::preset::Preset;
use wire::request::{Endpoint, Request};
use wire::secret::SigningSecret;

const BODY: &str = r#"{"event":"ticket.created"}"#;

/// Never reached: the receiver closes the connection after its answer.
const PATIENCE: Duration = Duration::from_secs(10);

static ANSWER: Mutex<Vec<u8>> = Mutex::new(Vec::new());
static BENCH: LazyLock<Mutex<Bench>> = LazyLock::new(|| Mutex::new(Bench::open().expect("loopback and threads")));

struct Bench {
    sender: Sender,
    endpoint: Arc<Endpoint>,
    outcomes: Receiver<Attempt>,
}

fuzz_target!(|input: &[u8]| {
    *ANSWER.lock().expect("no panic came before") = input.to_vec();
    match BENCH.lock().expect("no panic came before").attempt().outcome {
        Outcome::Answered(answer) => {
            assert!((100..1000).contains(&answer.status), "status {}", answer.status);
            assert!(
                answer.excerpt.len() <= EXCERPT_BYTES
                    && !answer.excerpt.contains(|c: char| c.is_control() && !matches!(c, '\n' | '\t'))
            );
        }
        Outcome::Failed(failure) => {
            let expected = [ErrorClass::Protocol, ErrorClass::Connection];
            assert!(expected.contains(&failure.class), "{failure:?}");
        }
        Outcome::NotStarted => panic!("the gate is open"),
    }
});

impl Bench {
    fn open() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let endpoint = Endpoint {
            subscription: SubscriptionId(1),
            url: format!("http://{}/", listener.local_addr()?),
            secrets: vec![SigningSecret::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw".to_owned())],
            schemes: Vec::new(),
            headers: Vec::new(),
            timeout: PATIENCE,
            gate: Arc::default(),
        };
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(serve(stream))));
        let allow_networks = AllowedNetwork::parse_list("127.0.0.1/32").expect("a network");
        let policy = Arc::new(DestinationPolicy { allow_networks, allow_http: true });
        let (send, outcomes) = mpsc::channel();
        let roots = Roots::load(None).expect("the system has some");
        let limits = Limits { threads: 1, resting_connections: 1, lookups: 1 };
        let sender = Sender::start(limits, policy, roots, send, Arc::new(Bell::new()?));
        Ok(Self { sender, endpoint: Arc::new(endpoint), outcomes })
    }

    fn attempt(&self) -> Attempt {
        self.sender.hand_over([Request {
            delivery: DeliveryId([9; 16]),
            endpoint: self.endpoint.clone(),
            preset: Preset::Hydra,
            event: EventKey::default(),
            event_type: "ticket.created".into(),
            emitted_at: UNIX_EPOCH,
            operation: None,
            body: BODY.into(),
            hops: 0,
            max_in_flight: 1,
        }]);
        self.outcomes.recv_timeout(2 * PATIENCE).expect("each request has an outcome")
    }
}

fn serve(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(BODY.as_bytes()) {
        let mut buffer = [0; 2048];
        let amount = stream.read(&mut buffer)?;
        if amount == 0 {
            return Ok(());
        }
        request.extend_from_slice(&buffer[..amount]);
    }
    let answer = ANSWER.lock().expect("no panic came before").clone();
    stream.write_all(&answer)
}

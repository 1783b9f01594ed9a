//! The life of the program: it begins to listen, obeys signals and the supervisor, and ends without losing an answer.

use std::io::{self, BufRead};
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::gateway::{Gateway, Live, Stage};
use crate::heartbeat::Heart;
use crate::listener;
use crate::lmtp;
use crate::log::Log;
use crate::options::Options;
use crate::report::{Reporter, State};
use crate::settings::{Fault, Given, Settings};

/// How soon a supervised gateway tries again to listen.
const RETRY: Duration = Duration::from_secs(1);
/// How long a connection without a request stays open when the gateway ends: its client may be about to send one.
const LAST_REQUESTS: Duration = Duration::from_millis(500);
/// How long requests under way may take then.
const LAST_ANSWERS: Duration = Duration::from_secs(10);

enum Order {
    Settings(Box<Given>),
    Unreadable(String),
    /// Read the files again that the settings name.
    Reload,
    Stop,
}

/// Runs until the gateway is told to end. Returns false if it could not begin.
pub async fn run(options: &Options) -> io::Result<bool> {
    let log = Log::start();
    let report = Arc::new(Reporter::new(options.supervised));
    let mut orders = orders(options.supervised)?;
    let mut given = (!options.supervised).then(|| options.given());
    let (sockets, live) = loop {
        match given.as_ref().map(begin) {
            Some(Ok(begun)) => break begun,
            Some(Err(fault)) => {
                report.say(&log, State::Failed(fault));
                if !options.supervised {
                    log.flush();
                    return Ok(false);
                }
            }
            None => {}
        }
        match timeout(RETRY, orders.recv()).await {
            Ok(Some(Order::Settings(new))) => given = Some(*new),
            Ok(Some(Order::Unreadable(error))) => report.say(&log, State::Failed(unreadable(&error))),
            Ok(Some(Order::Stop) | None) => return Ok(true),
            Ok(Some(Order::Reload)) | Err(_) => {}
        }
    };
    let given = given.expect("it has begun with settings");
    let mut running = Running::new(Gateway::new(live, log), report, given, sockets);
    let heart = Heart::new(running.gateway.clone());
    tokio::select! {
        () = heart.beat() => {}
        () = running.obey(&mut orders) => {}
    }
    running.end(&heart).await;
    Ok(true)
}

/// The socket for requests, and that for mail.
type Sockets = (TcpListener, Option<TcpListener>);

fn begin(given: &Given) -> Result<(Sockets, Live), Fault> {
    let settings = Settings::check(given)?;
    let bind = |listen: &String| listener::bind(listen, settings.reuse_port);
    let sockets = (bind(&settings.listen)?, settings.lmtp_listen.as_ref().map(bind).transpose()?);
    let addresses = (listener::address_of(&sockets.0), sockets.1.as_ref().map(listener::address_of));
    Ok((sockets, Live::of(settings, addresses, None)?))
}

fn unreadable(error: &str) -> Fault {
    Fault::new(format!("a line of standard input is not one of settings: {error}"), "It is a JSON object.")
}

/// Tells a listener to end, and its end.
type Door = (oneshot::Sender<()>, JoinHandle<()>);

struct Running {
    gateway: Arc<Gateway>,
    report: Arc<Reporter>,
    given: Given,
    door: Door,
    mail_door: Option<Door>,
    watch: JoinHandle<()>,
}

impl Running {
    fn new(gateway: Arc<Gateway>, report: Arc<Reporter>, given: Given, sockets: Sockets) -> Self {
        let (listener, mail) = sockets;
        let (door, mail_door) = (open(&gateway, listener), mail.map(|mail| open_mail(&gateway, mail)));
        let watch = watch(&gateway, &report);
        Self { gateway, report, given, door, mail_door, watch }
    }

    /// Obeys orders until the one to stop.
    async fn obey(&mut self, orders: &mut mpsc::UnboundedReceiver<Order>) {
        while let Some(order) = orders.recv().await {
            let reloaded = match order {
                Order::Stop => return,
                Order::Reload => self.reload(),
                Order::Settings(given) => {
                    self.given = *given;
                    self.reload()
                }
                Order::Unreadable(error) => Err(unreadable(&error)),
            };
            if let Err(fault) = reloaded {
                let address = self.gateway.live().address.clone();
                self.report.say(&self.gateway.log, State::Refused { address, fault });
            }
        }
    }

    /// Makes the settings hold. If they cannot, the former ones stay in force.
    fn reload(&mut self) -> Result<(), Fault> {
        let settings = Settings::check(&self.given)?;
        let former = self.gateway.live();
        let stays = settings.reuse_port == former.settings.reuse_port;
        let bind = |listen: &String| listener::bind(listen, settings.reuse_port);
        // A new socket is open before the former one is closed.
        let is_new = !stays || settings.listen != former.settings.listen;
        let listener = is_new.then(|| bind(&settings.listen)).transpose()?;
        let address = listener.as_ref().map_or_else(|| former.address.clone(), listener::address_of);
        let mail_is_new = !stays || settings.lmtp_listen != former.settings.lmtp_listen;
        let mail = settings.lmtp_listen.as_ref().filter(|_| mail_is_new).map(bind).transpose()?;
        let mail_address = match mail_is_new {
            true => mail.as_ref().map(listener::address_of),
            false => former.mail_address.clone(),
        };
        self.gateway.replace(Live::of(settings, (address, mail_address), Some(&former))?);
        if let Some(listener) = listener {
            let (stop, _) = std::mem::replace(&mut self.door, open(&self.gateway, listener));
            let _ = stop.send(());
        }
        if mail_is_new {
            let former = std::mem::replace(&mut self.mail_door, mail.map(|mail| open_mail(&self.gateway, mail)));
            if let Some((stop, _)) = former {
                let _ = stop.send(());
            }
        }
        self.watch.abort();
        self.watch = watch(&self.gateway, &self.report);
        Ok(())
    }

    /// Lets requests under way end, and those that clients are about to send.
    async fn end(self, heart: &Heart) {
        let gateway = self.gateway;
        let deadline = Instant::now() + LAST_ANSWERS;
        self.watch.abort();
        self.report.say(&gateway.log, State::Ending);
        gateway.stage.send_replace(Stage::Ending);
        for (stop, door) in std::iter::once(self.door).chain(self.mail_door) {
            let _ = stop.send(());
            let _ = timeout_at(deadline, door).await;
        }
        let _ = timeout(LAST_REQUESTS, all_closed(&gateway)).await;
        gateway.stage.send_replace(Stage::Closing);
        let _ = timeout_at(deadline, all_closed(&gateway)).await;
        heart.stop().await;
        gateway.log.flush();
    }
}

async fn all_closed(gateway: &Gateway) {
    loop {
        let mut closed = pin!(gateway.closed.notified());
        closed.as_mut().enable();
        if gateway.open.load(Ordering::Acquire) == 0 {
            return;
        }
        closed.await;
    }
}

fn open(gateway: &Arc<Gateway>, listener: TcpListener) -> Door {
    let (stop, stopped) = oneshot::channel();
    (stop, tokio::spawn(listener::accept(gateway.clone(), listener, stopped)))
}

fn open_mail(gateway: &Arc<Gateway>, listener: TcpListener) -> Door {
    let (stop, stopped) = oneshot::channel();
    (stop, tokio::spawn(lmtp::listener::accept(gateway.clone(), listener, stopped)))
}

/// Reports whether the database can be reached, whenever that changes.
fn watch(gateway: &Arc<Gateway>, report: &Arc<Reporter>) -> JoinHandle<()> {
    let (gateway, report) = (gateway.clone(), report.clone());
    tokio::spawn(async move {
        let (address, mail, mut trouble) = {
            let live = gateway.live();
            (live.address.clone(), live.mail_address.clone(), live.pool.trouble())
        };
        report.say(&gateway.log, State::Listening { address: address.clone(), mail: mail.clone() });
        loop {
            let state = match trouble.borrow_and_update().clone() {
                None => State::Listening { address: address.clone(), mail: mail.clone() },
                Some(error) => State::CannotConnect { error },
            };
            report.say(&gateway.log, state);
            if trouble.changed().await.is_err() {
                return;
            }
        }
    })
}

/// Returns what signals and the supervisor order.
fn orders(supervised: bool) -> io::Result<mpsc::UnboundedReceiver<Order>> {
    let (orders, receiver) = mpsc::unbounded_channel();
    let (mut terminate, mut interrupt, mut hangup) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?, signal(SignalKind::hangup())?);
    let of_signals = orders.clone();
    tokio::spawn(async move {
        loop {
            let order = tokio::select! {
                _ = terminate.recv() => Order::Stop,
                _ = interrupt.recv() => Order::Stop,
                _ = hangup.recv() => Order::Reload,
            };
            if of_signals.send(order).is_err() {
                return;
            }
        }
    });
    if supervised {
        // It is blocked in a read until the parent ends, so the program does not wait for it.
        thread::Builder::new().name("orders".into()).spawn(move || read_orders(&orders))?;
    }
    Ok(receiver)
}

fn read_orders(orders: &mpsc::UnboundedSender<Order>) {
    for line in io::stdin().lock().lines().map_while(Result::ok) {
        let order = match serde_json::from_str(&line) {
            Ok(given) => Order::Settings(Box::new(given)),
            // The text of the error has no value of the line.
            Err(error) => Order::Unreadable(error.to_string()),
        };
        if orders.send(order).is_err() {
            return;
        }
    }
    let _ = orders.send(Order::Stop);
}

//! One server process: its messages, the calls in flight on it, its life.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::io::BufReader;
use tokio::process::ChildStdout;
use tokio::sync::{Notify, OwnedSemaphorePermit, mpsc, watch};

use super::StdioSettings;
use super::call::{CallInFlight, Turned};
use super::pipes::{PATIENCE, Server, end, feed};
use super::processes::Purpose;
use super::routing::{Begin, Begun, Part, Route, Routing};
use crate::forward::message_id::MessageId;
use crate::intercept::error_line;
use crate::model::{Clock, Timestamp};
use crate::net::{Line, Lines};

/// Lines on their way into a process. Few: a server that does not read must slow its callers.
const LINES_IN_FLIGHT: usize = 64;

/// Time a client may leave a message lying while its server and all other calls wait behind it.
const DELIVERY_MAX: Duration = Duration::from_secs(30);

/// Time a server has to answer a call that was taken back; most do not answer at all.
const CANCELLED_GRACE: Duration = Duration::from_secs(5);

/// How often an idle process is looked at, at most.
const IDLE_CHECK_MAX: Duration = Duration::from_secs(30);

/// JSON-RPC "internal error": what a server hears whose question reaches nobody.
const INTERNAL_ERROR: i64 = -32_603;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Phase {
    Running,
    /// No more calls; what is queued is still written, what is answered still delivered.
    Ending,
    /// Reaped.
    Ended,
}

/// One running server.
pub(super) struct Process {
    /// `None` when it is ending.
    lines: Mutex<Option<mpsc::Sender<Bytes>>>,
    routing: Mutex<Routing>,
    /// Told whenever an id is free again.
    freed: Notify,
    phase: watch::Sender<Phase>,
    /// Why it ended, when it was not we who ended it.
    fault: OnceLock<String>,
    answered: AtomicBool,
    /// Takes no new calls and ends with the last of those in flight.
    retired: AtomicBool,
    used_us: AtomicU64,
    clock: Arc<dyn Clock>,
}

impl Process {
    /// Starts the configured command. `place` is given back when the process is reaped.
    pub(super) fn start(
        settings: &StdioSettings,
        purpose: &Purpose,
        clock: Arc<dyn Clock>,
        place: OwnedSemaphorePermit,
    ) -> std::io::Result<Arc<Self>> {
        let server = Server::start(settings)?;
        let (lines, waiting) = mpsc::channel(LINES_IN_FLIGHT);
        let process = Arc::new(Self {
            lines: Mutex::new(Some(lines)),
            routing: Mutex::new(Routing::new(purpose.has_stream())),
            freed: Notify::new(),
            phase: watch::Sender::new(Phase::Running),
            fault: OnceLock::new(),
            answered: AtomicBool::new(false),
            retired: AtomicBool::new(false),
            used_us: AtomicU64::new(clock.now().as_micros()),
            clock,
        });
        let idle = purpose.may_idle_out().then_some(settings.idle);
        let supervised = Arc::clone(&process);
        let (alias, line_bytes_max) = (Arc::clone(&settings.server), settings.line_bytes_max);
        tokio::spawn(async move {
            supervised.supervise(server, waiting, line_bytes_max, idle, &alias).await;
            drop(place);
        });
        Ok(process)
    }

    async fn supervise(
        &self,
        server: Server,
        waiting: mpsc::Receiver<Bytes>,
        line_bytes_max: usize,
        idle: Option<Duration>,
        alias: &str,
    ) {
        let mut output = Lines::new(BufReader::new(server.output), line_bytes_max);
        let fault = tokio::select! {
            fault = self.read(&mut output, line_bytes_max) => Some(fault),
            fault = feed(server.input, waiting) => fault,
            () = self.overdue() => None,
            () = self.idle_for(idle) => None,
        };
        if let Some(fault) = fault.filter(|_| self.is_alive()) {
            tracing::error!(server = alias, fault, "a server process is of no use any more");
            let _first = self.fault.set(fault);
        }
        self.end();
        self.routing().close();
        self.freed.notify_waiters();
        end(server.child, server.group, output.into_inner(), alias).await;
        self.phase.send_replace(Phase::Ended);
    }

    /// Sends one line. Waits while the server does not read.
    ///
    /// # Errors
    /// [`Turned::Ended`]
    pub(super) async fn write(&self, line: Bytes) -> Result<(), Turned> {
        let lines = self.lines().clone().ok_or_else(|| self.ended())?;
        lines.send(line).await.map_err(|_| self.ended())
    }

    /// Sends one line if there is room for it.
    pub(super) fn write_now(&self, line: Bytes) {
        if let Some(lines) = &*self.lines()
            && lines.try_send(line).is_err()
        {
            tracing::warn!("a server that does not read was not told something");
        }
    }

    /// Registers a call. Waits while another with the same id or progress token is in flight: they are the client's and
    /// are not changed.
    ///
    /// # Errors
    /// [`Turned`]: it cannot begin here.
    pub(super) async fn begin(self: &Arc<Self>, call: &Begin<'_>) -> Result<CallInFlight, Turned> {
        let cancelled = Arc::new(AtomicBool::new(false));
        loop {
            let freed = self.freed.notified();
            self.touch();
            match self.routing().begin(call, &cancelled) {
                Begun::Registered(number, parts) => {
                    let id = call.id.clone();
                    return Ok(CallInFlight::new(Arc::clone(self), id, number, call.era, parts, cancelled));
                }
                Begun::Blocked => return Err(Turned::Blocked),
                Begun::Cancelled => return Err(Turned::Cancelled),
                Begun::Closed => return Err(self.ended()),
                Begun::Taken => {}
            }
            freed.await;
        }
    }

    /// A client takes a call back. A server need not answer then: its call ends after a while all the same.
    pub(super) fn cancel(self: &Arc<Self>, id: MessageId) {
        let Some(number) = self.routing().cancel(&id) else { return };
        let process = Arc::clone(self);
        tokio::spawn(async move {
            tokio::time::sleep(CANCELLED_GRACE).await;
            process.routing().abandon(&id, number);
        });
    }

    /// Opens the stream for what belongs to no call. `None` when the process has ended.
    pub(super) fn open_stream(&self) -> Option<mpsc::Receiver<Bytes>> {
        self.touch();
        self.routing().open_stream()
    }

    /// Takes no more calls, writes what is queued, and then ends the process.
    pub(super) fn end(&self) {
        // The writer closes the server's input when it has written what is queued.
        self.lines().take();
        self.phase.send_if_modified(|phase| {
            *phase == Phase::Running && {
                *phase = Phase::Ending;
                true
            }
        });
    }

    /// Ends the process with the last call in flight.
    pub(super) fn retire(&self) {
        self.retired.store(true, Ordering::Release);
        self.released();
    }

    /// Resolves when the process is reaped.
    pub(super) async fn reaped(&self) {
        self.reach(Phase::Ended).await;
    }

    pub(super) fn is_alive(&self) -> bool {
        *self.phase.borrow() == Phase::Running
    }

    /// Whether it ended by itself before it was of any use.
    pub(super) fn has_failed(&self) -> bool {
        self.fault.get().is_some() && !self.answered.load(Ordering::Acquire)
    }

    pub(super) fn is_busy(&self) -> bool {
        self.routing().is_busy()
    }

    pub(super) fn used(&self) -> Timestamp {
        Timestamp::from_micros(self.used_us.load(Ordering::Relaxed))
    }

    /// Why a call cannot go on here.
    pub(super) fn ended(&self) -> Turned {
        Turned::Ended(self.fault.get().cloned().unwrap_or_else(|| "the server process was ended".into()))
    }

    pub(super) fn routing(&self) -> MutexGuard<'_, Routing> {
        self.routing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call has ended: its id may be free, and the idle time begins.
    pub(super) fn released(&self) {
        self.touch();
        self.freed.notify_waiters();
        if self.retired.load(Ordering::Acquire) && !self.routing().has_calls() {
            self.end();
        }
    }

    fn lines(&self) -> MutexGuard<'_, Option<mpsc::Sender<Bytes>>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn touch(&self) {
        self.used_us.fetch_max(self.clock.now().as_micros(), Ordering::Relaxed);
    }

    /// Reads messages until there are no more or one of them cannot be passed on. Returns why it stopped.
    async fn read(&self, output: &mut Lines<BufReader<ChildStdout>>, line_bytes_max: usize) -> String {
        loop {
            let line = match output.next().await {
                Ok(Some(Line::Whole(line))) => line,
                Ok(Some(Line::TooLong)) => return format!("wrote a line of more than {line_bytes_max} bytes"),
                Ok(None) => return "the server process ended".into(),
                Err(error) => return format!("read its output: {error}"),
            };
            if line.is_empty() {
                continue;
            }
            let routed = self.routing().route(line);
            match routed {
                Ok(route) => self.deliver(route).await,
                Err(problem) => return problem.into(),
            }
        }
    }

    async fn deliver(&self, route: Route) {
        match route {
            Route::Call(id, number, sender, part) => {
                if matches!(part, Part::Answer(..)) {
                    self.answered.store(true, Ordering::Release);
                    self.freed.notify_waiters();
                }
                // A receiver that is gone does not want it any more.
                if tokio::time::timeout(DELIVERY_MAX, sender.send(part)).await.is_err() {
                    tracing::warn!("gave up a call whose client does not read");
                    self.routing().abandon(&id, number);
                }
            }
            Route::Stream(stream, message) => {
                if tokio::time::timeout(DELIVERY_MAX, stream.send(message)).await.is_err() {
                    tracing::warn!("closed a stream whose client does not read");
                    self.routing().close_stream();
                }
            }
            Route::Refuse(id) => {
                tracing::warn!("a server asked for something while no client could answer");
                self.write_now(error_line(Some(&id), INTERNAL_ERROR, "no client is there to answer").into());
            }
            // Answers to calls that were given up end here and free their ids.
            Route::Nowhere => self.freed.notify_waiters(),
        }
    }

    async fn reach(&self, phase: Phase) {
        let mut changes = self.phase.subscribe();
        // The sender is ours: it cannot be gone. The look at the phase must not outlive this line, it is a lock.
        let _reached = changes.wait_for(|now| *now >= phase).await.is_ok();
    }

    /// Resolves some time after the process was asked to end, if it has not by then.
    async fn overdue(&self) {
        self.reach(Phase::Ending).await;
        tokio::time::sleep(PATIENCE).await;
    }

    /// Resolves when nobody has used the process for `limit`; never without one.
    async fn idle_for(&self, limit: Option<Duration>) {
        let Some(limit) = limit else { return std::future::pending().await };
        let limit_us = u64::try_from(limit.as_micros()).unwrap_or(u64::MAX);
        let pause = (limit / 4).clamp(Duration::from_millis(1), IDLE_CHECK_MAX);
        loop {
            tokio::time::sleep(pause).await;
            if !self.is_busy() && self.clock.now().micros_since(self.used()) > limit_us {
                return;
            }
        }
    }
}

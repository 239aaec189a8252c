//! One destination's task: read the log into a window, send batches, settle what arrived, keep the cursor.
//!
//! ```text
//! log ─► prepare ─► window ─► batch ─► Destination::send ─► settle ─► cursor
//!          ▲ (threads that may block)       │ failed: back into the window, and a pause
//! ```

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use super::cursor::{Cursor, Place};
use super::dead_letter::DeadLetters;
use super::destination::{Batch, Confirmation, Delivery, Destination, SendError};
use super::feed::{Feed, READ_BYTES_MAX, READ_ENTRIES_MAX};
use super::health::Health;
use super::item::{Item, Prepared};
use super::monitor::{Meter, State};
use super::prepare::{Route, prepare, scout};
use super::settings::{CONFIRM_FIRST, DeliverySettings};
use super::window::Window;
use crate::model::{Clock, with_causes};
use crate::record::Recorder;

/// How long entries gather before the log is read. Well within the 200 ms in which HIGH must have left, and long enough
/// that a busy log costs twenty reads a second and not thousands.
const GATHER: Duration = Duration::from_millis(50);

/// How often the cursor is written while events move: what a crash repeats is at most this, or half a window.
const SAVE_INTERVAL: Duration = Duration::from_secs(1);

/// Time that events may still take to leave when the process stops.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Longest time without a look at timers: none of them is that long.
const IDLE: Duration = Duration::from_hours(1);

pub(super) struct Pipeline {
    pub(super) destination: Arc<dyn Destination>,
    pub(super) settings: DeliverySettings,
    pub(super) route: Arc<Route>,
    pub(super) feed: Arc<Feed>,
    pub(super) dead: Arc<DeadLetters>,
    pub(super) recorder: Recorder,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) meter: Arc<Meter>,
    pub(super) cursor: Cursor,
    pub(super) window: Window,
    pub(super) health: Health,
    /// Batches that the receiver took and has yet to confirm.
    pub(super) unconfirmed: Vec<Unconfirmed>,
    /// Whether an alarm was raised since the destination last kept up.
    pub(super) lag_told: bool,
    work: JoinSet<Done>,
    reading: bool,
    sending: usize,
    confirming: bool,
    confirm_at: Instant,
    confirm_pause: Duration,
    /// When the log is to be looked at; `None`: when it grows.
    look_at: Option<Instant>,
    /// Since when something waits for company: from when it happened on, not from when it was read.
    waiting_since: Option<Instant>,
    saved_at: Instant,
    /// Set while the process stops: when the last attempt must have ended.
    deadline: Option<Instant>,
}

/// A batch that was taken, and what the receiver calls it.
pub(super) struct Unconfirmed {
    pub(super) ticket: u64,
    pub(super) items: Vec<Arc<Item>>,
    pub(super) since: Instant,
}

/// An attempt that came to its end.
pub(super) struct Attempt {
    pub(super) batch: Batch,
    /// Whether the batch is part of one that was refused.
    pub(super) is_part: bool,
    pub(super) took: Duration,
    pub(super) result: Result<Delivery, SendError>,
}

enum Done {
    Attempt(Attempt),
    Answers(Vec<u64>, Result<Vec<Confirmation>, SendError>),
    /// Entries from there on, or why they cannot be read.
    Read(u64, Result<Vec<Prepared>, String>),
    /// How far the log was searched from there on for what is urgent, and what was found.
    Scouted(u64, Result<(u64, Vec<Prepared>), String>),
}

/// What a pipeline is made of.
pub(super) struct Parts {
    pub(super) destination: Arc<dyn Destination>,
    pub(super) settings: DeliverySettings,
    pub(super) route: Route,
    pub(super) feed: Arc<Feed>,
    pub(super) dead: DeadLetters,
    pub(super) recorder: Recorder,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) meter: Arc<Meter>,
    pub(super) cursor: Cursor,
}

impl Pipeline {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts { destination, settings, route, feed, dead, recorder, clock, meter, cursor } = parts;
        let window = Window::new(cursor.place.clone(), settings.window_events, settings.window_bytes);
        let health = Health::new(&settings);
        let now = Instant::now();
        Self {
            destination,
            settings,
            route: Arc::new(route),
            feed,
            dead: Arc::new(dead),
            recorder,
            clock,
            meter,
            cursor,
            window,
            health,
            unconfirmed: Vec::new(),
            lag_told: false,
            work: JoinSet::new(),
            reading: false,
            sending: 0,
            confirming: false,
            confirm_at: now,
            confirm_pause: CONFIRM_FIRST,
            look_at: Some(now),
            waiting_since: None,
            saved_at: now,
            deadline: None,
        }
    }

    pub(super) async fn run(mut self, mut stop: watch::Receiver<bool>) {
        let mut size = self.feed.log.watch_size();
        loop {
            if *stop.borrow_and_update() && self.deadline.is_none() {
                self.deadline = Some(Instant::now() + LAST_WORDS);
            }
            self.start_reading();
            self.bury_unfit().await;
            self.move_on().await;
            self.start_sending();
            self.start_confirming();
            self.save().await;
            if self.deadline.is_some_and(|deadline| self.has_nothing_left() || deadline <= Instant::now()) {
                break;
            }
            let wake_at = self.wake_at();
            tokio::select! {
                Some(done) = self.work.join_next(), if !self.work.is_empty() => if let Err(problem) = self.ended(done).await {
                    self.stopped(&problem);
                    let _stop_or_gone = stop.wait_for(|stop| *stop).await;
                    break;
                },
                changed = size.changed(), if !self.reading && self.look_at.is_none() && self.deadline.is_none() => match changed {
                    Ok(()) => self.look_at = Some(Instant::now() + GATHER.min(self.settings.limits.linger)),
                    Err(_) => break,
                },
                changed = stop.changed(), if self.deadline.is_none() => if changed.is_err() { break },
                () = tokio::time::sleep_until(wake_at) => {}
            }
        }
        self.saved_at = Instant::now() - SAVE_INTERVAL;
        self.save().await;
    }

    fn stopped(&mut self, problem: &str) {
        tracing::error!(destination = self.destination.name(), problem, "exporting stopped at an entry");
        self.health.state = State::Stopped;
        self.tell();
    }

    /// Whether a stopping process need not wait: everything arrived, or the destination does not take it now.
    fn has_nothing_left(&self) -> bool {
        let caught_up = self.window.read_next() >= self.feed.log.durable_size() && self.window.held().0 == 0;
        caught_up || (self.sending == 0 && !self.health.allows(Instant::now()))
    }

    pub(super) fn is_sending(&self) -> bool {
        self.sending > 0
    }

    fn is_behind(&self) -> bool {
        self.window.read_next() < self.feed.log.durable_size()
    }

    /// Has the log read as far as there is room, and beyond that searched for what is urgent. Deliveries go on meanwhile.
    fn start_reading(&mut self) {
        let due = self.deadline.is_some() || self.look_at.is_none_or(|at| at <= Instant::now());
        if self.reading || !due {
            return;
        }
        self.look_at = None;
        let (feed, route) = (Arc::clone(&self.feed), Arc::clone(&self.route));
        if self.window.has_room() && self.is_behind() {
            let from = self.window.read_next();
            let work = move || Done::Read(from, prepare(&feed, &route, from, READ_ENTRIES_MAX, READ_BYTES_MAX));
            self.work.spawn_blocking(work);
        } else if !self.window.has_room()
            && self.window.has_express_room()
            && self.window.scout_next() < self.feed.log.durable_size()
        {
            let from = self.window.scout_next();
            self.work.spawn_blocking(move || Done::Scouted(from, scout(&feed, &route, from)));
        } else {
            return;
        }
        self.reading = true;
    }

    fn read(&mut self, from: u64, prepared: Vec<Prepared>) {
        // Where the window was moved on meanwhile, or retention has removed what was to be read, it is read anew.
        let fits = from == self.window.read_next() && prepared.first().is_some_and(|first| first.index == from);
        if fits {
            prepared.into_iter().for_each(|prepared| self.window.fill(prepared));
        } else {
            self.look_at = Some(Instant::now() + GATHER);
        }
    }

    fn scouted(&mut self, from: u64, (searched, found): (u64, Vec<Prepared>)) {
        if searched == from {
            self.look_at = Some(Instant::now() + GATHER);
        }
        self.window.overtake(searched, found);
    }

    fn is_ready(&self) -> bool {
        let limits = &self.settings.limits;
        self.window.waiting() > 0
            && (self.deadline.is_some()
                || self.window.is_urgent()
                || self.window.is_full_batch(limits.events_max, limits.bytes_max)
                || !self.window.has_room()
                || (!self.reading && self.waiting_since.is_some_and(|since| since + limits.linger <= Instant::now())))
    }

    /// Since when the first of what waits does. The last events of a backlog have waited long enough.
    fn first_waits_since(&self) -> Option<Instant> {
        let happened = self.window.first_waiting()?.as_micros();
        let age = Duration::from_micros(self.clock.now().as_micros().saturating_sub(happened));
        let now = Instant::now();
        Some(now.checked_sub(age.min(self.settings.limits.linger)).unwrap_or(now))
    }

    fn start_sending(&mut self) {
        while self.sending < self.settings.concurrency && self.health.allows(Instant::now()) && self.is_ready() {
            let limits = self.settings.limits;
            let (items, is_part) = self.window.take(limits.events_max, limits.bytes_max, limits.overhead);
            self.waiting_since = self.first_waits_since();
            let (destination, batch, deadline) = (Arc::clone(&self.destination), Batch { items }, self.deadline);
            self.sending += 1;
            self.work.spawn(async move {
                let begun = Instant::now();
                let sending = destination.send(&batch);
                let result = match deadline {
                    None => sending.await,
                    Some(deadline) => tokio::time::timeout_at(deadline, sending)
                        .await
                        .unwrap_or_else(|_| Err(SendError::later("the process stops"))),
                };
                Done::Attempt(Attempt { batch, is_part, took: begun.elapsed(), result })
            });
        }
    }

    fn start_confirming(&mut self) {
        if self.confirming || self.unconfirmed.is_empty() || self.confirm_at > Instant::now() {
            return;
        }
        let tickets: Vec<u64> = self.unconfirmed.iter().map(|batch| batch.ticket).collect();
        let destination = Arc::clone(&self.destination);
        self.confirming = true;
        self.work.spawn(async move {
            let answers = destination.confirm(&tickets).await;
            Done::Answers(tickets, answers)
        });
    }

    /// # Errors
    /// A sentence: the log cannot be read.
    async fn ended(&mut self, done: Result<Done, JoinError>) -> Result<(), String> {
        match done {
            Ok(Done::Read(from, prepared)) => {
                self.reading = false;
                self.read(from, prepared?);
            }
            Ok(Done::Scouted(from, found)) => {
                self.reading = false;
                self.scouted(from, found?);
            }
            Ok(Done::Attempt(attempt)) => {
                self.sending -= 1;
                self.concluded(attempt).await;
            }
            Ok(Done::Answers(tickets, answers)) => {
                self.confirming = false;
                let open = self.unconfirmed.len();
                self.confirmed(&tickets, answers);
                let progress = self.unconfirmed.len() < open;
                self.confirm_pause = if progress { CONFIRM_FIRST } else { self.confirm_pause * 2 };
                self.confirm_pause = self.confirm_pause.min(self.settings.confirm_interval);
                self.confirm_at = Instant::now() + self.confirm_pause;
            }
            // What the task held is lost to this run: the cursor has not moved, so start over from it.
            Err(error) => self.start_over(&error),
        }
        if self.waiting_since.is_none() {
            self.waiting_since = self.first_waits_since();
        }
        self.tell();
        Ok(())
    }

    /// A destination's own code failed. Everything unsettled is read again.
    fn start_over(&mut self, error: &JoinError) {
        tracing::error!(destination = self.destination.name(), %error, "an attempt to deliver ended badly");
        self.work.abort_all();
        self.work = JoinSet::new();
        (self.reading, self.sending, self.confirming) = (false, 0, false);
        self.unconfirmed.clear();
        self.window = Window::new(self.window.place(), self.settings.window_events, self.settings.window_bytes);
        let change = self.health.failed(Instant::now(), None);
        self.announce(change, "an attempt to deliver ended badly");
    }

    fn wake_at(&self) -> Instant {
        let now = Instant::now();
        let waiting = self.window.waiting() > 0 && self.sending < self.settings.concurrency;
        let blocked = self.health.not_before().filter(|at| *at > now);
        let linger = self.waiting_since.map(|since| since + self.settings.limits.linger);
        let timers = [
            self.look_at,
            blocked.or(linger.filter(|_| !self.reading)).filter(|_| waiting || self.window.has_unfit()),
            (!self.confirming && !self.unconfirmed.is_empty()).then_some(self.confirm_at),
            (self.cursor.place.next != self.window.next()).then(|| self.saved_at + SAVE_INTERVAL),
            self.deadline,
        ];
        timers.into_iter().flatten().min().unwrap_or(now + IDLE)
    }

    /// Writes the cursor when it is time.
    async fn save(&mut self) {
        let moved = self.window.next().saturating_sub(self.cursor.place.next);
        let much = moved.saturating_mul(2) >= self.settings.window_events as u64;
        if !much && self.saved_at.elapsed() < SAVE_INTERVAL {
            return;
        }
        let state = self.health.state.as_str();
        let problem = self.health.problem.as_ref().map(|problem| format!("{state}: {problem}"));
        let place = Place { problem, ..self.window.place() };
        if place == self.cursor.place {
            return;
        }
        self.saved_at = Instant::now();
        let mut cursor = self.cursor.clone();
        let saved = tokio::task::spawn_blocking(move || cursor.save(place).map(|()| cursor)).await;
        match saved {
            Ok(Ok(cursor)) => self.cursor = cursor,
            // The events have arrived; without the cursor they will arrive again, which ids make harmless.
            Ok(Err(error)) => {
                tracing::error!(destination = self.destination.name(), error = with_causes(&error), "keep the cursor");
            }
            Err(error) => tracing::error!(destination = self.destination.name(), %error, "keep the cursor"),
        }
    }

    /// Tells whoever watches how things are.
    pub(super) fn tell(&self) {
        self.meter.change(|numbers| {
            numbers.state = self.health.state;
            numbers.problem.clone_from(&self.health.problem);
            numbers.next = self.window.next();
            numbers.counts = self.window.counts();
            numbers.oldest = self.window.oldest();
            let (events, bytes) = self.window.held();
            numbers.held = (events as u64, bytes as u64);
        });
    }
}

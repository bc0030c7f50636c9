//! `register`: collect, judge, push to every server, remember.

use std::time::{Duration, Instant};

use jiff::{Timestamp, Zoned};
use monitoring_info::diagnostic::Problem;
use monitoring_info::registration::{Enrolment, Publication, RefusedDefinition, Registration, Standing};
use monitoring_info::server_address::ServerAddress;
use serde::Serialize;
use ssh_key::rand_core::{OsRng, RngCore};

use crate::call::{Caller, Pushed};
use crate::collect;
use crate::configuration::Configuration;
use crate::difference;
use crate::enrol;
use crate::failure::{Failure, Status};
use crate::packages;
use crate::root::Root;
use crate::screen::{NEXT, Screen, WARNING, count, paint};
use crate::state::State;
use crate::turn::{self, Turn, Turns};

mod text;

pub use text::news;

/// How long a person's call waits for a run that is under way.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a package manager is waited for, which may itself wait for a person.
const PACKAGES_AT_MOST: Duration = Duration::from_secs(5 * 60);
/// The first pause of `--wait`, and the longest.
const PAUSE: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How to register.
#[derive(Debug, Clone, Copy, Default)]
pub struct Options {
    /// Called by a timer or by packaging: keeps to the backoff, asks nobody, is quiet where nothing is to do.
    pub unattended: bool,
    /// Says nothing to a server that has taken just this already.
    pub if_changed: bool,
    /// Looks for a server where none is known.
    pub discover: bool,
    /// Keeps trying for so long.
    pub wait: Option<Duration>,
}

/// What a run did.
#[derive(Debug, Serialize)]
pub struct Report {
    /// The generation of what this host has to say.
    pub generation: u64,
    /// How many definitions were sent.
    pub definitions: usize,
    /// How many services are opted out.
    pub opted_out: usize,
    /// What became of it, by server.
    pub servers: Vec<Outcome>,
    /// Every fault found on this host.
    pub problems: Vec<Problem>,
    /// How it stands with the servers that the backoff left out: a supervisor that looks at the exit status is not to
    /// take an attempt that was not made for one that went well.
    #[serde(skip)]
    postponed: Status,
}

/// What became of a registration at a server.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a field of the JSON, and they are independent")]
pub struct Outcome {
    /// The server.
    pub server: String,
    /// Whether it took the registration.
    pub registered: bool,
    /// Whether that was what it held already.
    pub unchanged: bool,
    /// The definitions that it refused.
    pub refused: Vec<RefusedDefinition>,
    /// What the engine made of it.
    pub publication: Option<Publication>,
    /// Why it did not take it.
    pub error: Option<String>,
    /// What to do.
    pub help: Option<String>,
    #[serde(skip)]
    status: Status,
    /// Whether nothing can be done until a person has spoken.
    pub waits_for_person: bool,
    /// Whether it may work a little later.
    pub worth_another_try: bool,
}

/// Reads `client.conf`, or prints its faults.
///
/// # Errors
/// It has faults.
pub fn configuration(root: &Root, screen: Screen) -> Result<Configuration, Failure> {
    Configuration::read(root).map_err(|problems| {
        screen.problems(&problems);
        Failure::here(format!(
            "{} has {}",
            root.path(crate::root::CONFIGURATION).display(),
            count(problems.len(), "fault")
        ))
        .help("mend it, and run this again; until then, nothing is sent")
    })
}

/// The servers of this host: those of `client.conf`, else those that it enrolled with.
#[must_use]
pub fn servers(configuration: &Configuration, state: &State) -> Vec<ServerAddress> {
    if configuration.servers.is_empty() { state.enrolled() } else { configuration.servers.clone() }
}

/// The state; where it is damaged, a word about it.
///
/// # Errors
/// It cannot be read.
pub fn state(root: &Root, screen: Screen) -> Result<State, Failure> {
    let (state, damage) = State::read(root)?;
    if let Some(damage) = damage {
        screen.note(&format!("{} {damage}", paint(WARNING, "warning:")));
    }
    Ok(state)
}

/// Registers.
///
/// # Errors
/// Something on this host stands in the way of even trying.
pub fn run(root: &Root, screen: Screen, options: Options) -> Result<Status, Failure> {
    // A host without a server does nothing, leaves nothing behind, and needs no rights for that.
    if !has_server(root, screen)? && options.discover {
        let status = enrol::run(root, screen, None, None, options.unattended)?;
        if status != Status::Done || !has_server(root, screen)? {
            return Ok(status);
        }
    }
    if !has_server(root, screen)? {
        if !options.unattended {
            screen.answer(&NoServer { servers: [] }, || {
                format!(
                    "No monitoring server is known, so there is nothing to do.\n  {}\n",
                    paint(NEXT, "To name one: auto-monitor enrol SERVER")
                )
            });
        }
        return Ok(Status::Done);
    }
    if options.unattended && options.if_changed {
        packages_done(root);
    }
    let turns = Turns::new(root)?;
    turns.want()?;
    let mut report: Option<Report> = None;
    // See `turn` for why this loses no request.
    while turns.is_wanted() || report.is_none() {
        let first = report.is_none();
        let turn = if options.unattended || !first { turns.attempt()? } else { turns.wait(PATIENCE)? };
        let Some(turn) = turn else {
            if !options.unattended && first {
                screen.note("another registration is still running; one more will follow it");
            }
            break;
        };
        report = Some(until_done(root, screen, options, &turn)?);
    }
    let unfinished =
        report.as_ref().is_some_and(|report| report.servers.iter().any(|one| one.worth_another_try));
    if unfinished && !options.unattended {
        // Where there are no units, the person calls again.
        let _ = turn::hand_over(root);
    }
    // Of several runs the last one says how things stand.
    Ok(report.map_or(Status::Done, |mut report| text::tell(screen, options, &mut report)))
}

/// Waits while a package manager works: in the middle of an upgrade, a package may be neither here nor gone, and of two
/// hundred packages the state after the last one counts. Whoever holds its lock longer is not waited for.
fn packages_done(root: &Root) {
    let until = Instant::now() + PACKAGES_AT_MOST;
    while packages::are_at_work(root) && Instant::now() < until {
        std::thread::sleep(PAUSE.0);
    }
}

#[derive(Serialize)]
struct NoServer {
    servers: [Outcome; 0],
}

fn has_server(root: &Root, screen: Screen) -> Result<bool, Failure> {
    let configuration = configuration(root, screen)?;
    if !configuration.servers.is_empty() {
        return Ok(true);
    }
    Ok(!State::read(root)?.0.enrolled().is_empty())
}

/// One run, or with `wait` as many as it takes.
fn until_done(root: &Root, screen: Screen, options: Options, turn: &Turn) -> Result<Report, Failure> {
    let until = options.wait.map(|wait| Instant::now() + wait);
    let mut pause = PAUSE.0;
    let mut done: Vec<Outcome> = Vec::new();
    loop {
        if turn.begin()? {
            // Something may have changed, which those that are done have not been told.
            done.clear();
        }
        let mut report = once(root, screen, options, &done)?;
        let again = report.servers.iter().any(|outcome| outcome.worth_another_try);
        let left = until.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default();
        if !again || left.is_zero() {
            report.servers.splice(0..0, done);
            return Ok(report);
        }
        done.extend(report.servers.into_iter().filter(|outcome| outcome.registered));
        // With jitter here too, because the upgrade that calls `--wait 30s` may be that of a thousand hosts.
        let half = u64::try_from(pause.as_millis() / 2).unwrap_or(u64::MAX);
        std::thread::sleep((pause / 2 + Duration::from_millis(OsRng.next_u64() % (half + 1))).min(left));
        pause = (pause * 2).min(PAUSE.1);
    }
}

/// Collects and pushes once, to the servers that are not done.
fn once(root: &Root, screen: Screen, options: Options, done: &[Outcome]) -> Result<Report, Failure> {
    let configuration = configuration(root, screen)?;
    let mut state = state(root, screen)?;
    let now = Timestamp::now();
    let (mut due, mut postponed) = (Vec::new(), Vec::new());
    for server in servers(&configuration, &state) {
        let known = state.server(&server);
        let is_done = done.iter().any(|outcome| outcome.server == server.to_string());
        if is_done || options.unattended && known.deregistered {
            continue;
        }
        if !options.unattended || options.wait.is_some() || known.is_due(now) {
            due.push(server);
        } else {
            postponed.push(known.outstanding());
        }
    }
    let mut report = Report {
        generation: state.generation,
        definitions: 0,
        opted_out: 0,
        servers: Vec::new(),
        problems: Vec::new(),
        postponed: Status::worst(postponed),
    };
    if due.is_empty() {
        return Ok(report);
    }
    let mut collection = collect::host(root, Zoned::now().date());
    let mut registration = collection.registration(root, &configuration.tags);
    let caller = Caller::new(root, &configuration, None, !options.unattended)?;
    if options.if_changed {
        due.retain(|server| !state.server(server).holds(&caller.request(), &registration));
        if due.is_empty() {
            return Ok(report);
        }
    }
    if state.number(&mut registration) {
        // Before it is said, so that after a crash in between the number is not given to something else.
        state.write(root, true)?;
    }
    let results = push(&caller, &due, &registration);
    let highest = results.iter().filter_map(|result| Some(result.as_ref().ok()?.generation)).max();
    state.generation = state.generation.max(highest.unwrap_or(0));
    for (server, result) in due.iter().zip(results) {
        report.servers.push(remember(&caller, &mut state, server, result, &registration));
    }
    state.write(root, false)?;
    report.generation = state.generation;
    report.definitions = registration.definitions.len();
    report.opted_out = registration.opted_out.len();
    report.problems = collection.problems;
    Ok(report)
}

/// Every server at once, so that one that does not answer holds up no other.
fn push(
    caller: &Caller<'_>,
    due: &[ServerAddress],
    registration: &Registration,
) -> Vec<Result<Pushed, Failure>> {
    if let [server] = due {
        return vec![caller.register(server, registration)];
    }
    std::thread::scope(|scope| {
        let calls: Vec<_> =
            due.iter().map(|server| scope.spawn(move || caller.register(server, registration))).collect();
        calls
            .into_iter()
            .map(|call| {
                call.join().unwrap_or_else(|_| {
                    Err(Failure::here("a fault of auto-monitor itself; please report it"))
                })
            })
            .collect()
    })
}

fn remember(
    caller: &Caller<'_>,
    state: &mut State,
    server: &ServerAddress,
    result: Result<Pushed, Failure>,
    registration: &Registration,
) -> Outcome {
    let now = Timestamp::now();
    let known = state.server(server);
    known.deregistered = false;
    let mut outcome = Outcome {
        server: server.to_string(),
        registered: false,
        unchanged: false,
        refused: Vec::new(),
        publication: None,
        error: None,
        help: None,
        status: Status::Done,
        waits_for_person: false,
        worth_another_try: false,
    };
    let failure = match result {
        Ok(pushed) => {
            let reply = pushed.answer.reply;
            known.enrolment = Some(reply.enrolment);
            known.name.clone_from(&reply.name);
            known.local_address = Some(pushed.answer.local);
            match caller.refusal(server, &reply) {
                None => {
                    known.reached();
                    known.last_success = Some(now);
                    known.claimed_address = caller.request().address;
                    known.acknowledged =
                        Some(Registration { generation: pushed.generation, ..registration.clone() });
                    known.refused.clone_from(&reply.refused);
                    known.publication.clone_from(&reply.publication);
                    let quarantined = reply
                        .publication
                        .as_ref()
                        .is_some_and(|publication| publication.standing == Standing::Quarantined);
                    outcome.registered = true;
                    outcome.unchanged = reply.unchanged;
                    outcome.status =
                        if reply.refused.is_empty() && !quarantined { Status::Done } else { Status::Faults };
                    outcome.refused = reply.refused;
                    outcome.publication = reply.publication;
                    return outcome;
                }
                Some(failure) => {
                    outcome.worth_another_try = reply.enrolment == Enrolment::Pending;
                    failure
                }
            }
        }
        Err(failure) => failure,
    };
    known.failed(&failure, now);
    if outcome.worth_another_try {
        known.soon(now);
    }
    if failure.waits_for_person {
        // Nothing was refused and nothing is broken; as soon as a person has spoken, the next run may go.
        known.not_before = None;
    }
    outcome.worth_another_try |= failure.status == Status::Unreachable;
    outcome.status = failure.status;
    outcome.waits_for_person = failure.waits_for_person;
    outcome.error = Some(failure.message);
    outcome.help = failure.help;
    outcome
}

/// `register --dry-run`: what would change at each server, against what it last acknowledged.
///
/// # Errors
/// The state or the configuration cannot be read.
pub fn dry_run(root: &Root, screen: Screen) -> Result<Status, Failure> {
    let configuration = configuration(root, screen)?;
    let state = state(root, screen)?;
    let mut collection = collect::host(root, Zoned::now().date());
    let registration = collection.registration(root, &configuration.tags);
    let mut changes: Vec<difference::Changes> = servers(&configuration, &state)
        .iter()
        .map(|server| {
            let known = state.servers.get(&server.to_string());
            let old = known.and_then(|known| known.acknowledged.as_ref());
            difference::between(Some(server.to_string()), old, &registration)
        })
        .collect();
    if changes.is_empty() {
        changes.push(difference::between(None, None, &registration));
    }
    let status = if collection.has_errors() { Status::Faults } else { Status::Done };
    if screen.json {
        screen.json(&DryRun { servers: &changes, problems: &collection.problems });
    } else {
        screen.problems(&collection.problems);
        for change in &changes {
            screen.print(&change.to_string());
        }
    }
    Ok(status)
}

#[derive(Serialize)]
struct DryRun<'a> {
    servers: &'a [difference::Changes],
    problems: &'a [Problem],
}

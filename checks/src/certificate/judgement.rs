//! All that was found out, as one answer: each certificate with its faults, then the connection's.

use monitoring_info::state::State;
use openssl::x509::{X509, X509Ref};

use super::fault::Fault;
use super::shown::{self, Moment, days};
use crate::answer::Answer;
use crate::tls::{self, Agreed, Findings};

/// How many certificates of a chain are listed for who looks closer; a sound one has three or four.
const LISTED: usize = 8;

/// How many faulty certificates the first line names; a sound chain has no more.
const TOLD: usize = 4;

/// The days before the end that are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// WARNING within so many.
    pub(super) warning: Option<u32>,
    /// CRITICAL within so many.
    pub(super) critical: Option<u32>,
}

/// A certificate and what is wrong with it.
struct Judged {
    depth: usize,
    certificate: X509,
    /// Each once, in the order in which they are told.
    faults: Vec<Fault>,
}

/// What is to be said.
pub(super) struct Judgement<'a> {
    findings: &'a Findings,
    name: &'a str,
    limits: Limits,
    now: Moment,
    /// Every certificate that counts, the server's own first.
    certificates: Vec<Judged>,
    /// What is wrong with the connection.
    connection: Option<(State, String)>,
    /// What is worth knowing, and no fault.
    note: Option<&'static str>,
}

impl<'a> Judgement<'a> {
    /// Judges the findings of a handshake, whether it succeeded or not.
    pub(super) fn of(
        findings: &'a Findings,
        result: Result<(), tls::Error>,
        name: &'a str,
        limits: Limits,
    ) -> Self {
        let now = Moment::now();
        let mut judgement = Self {
            findings,
            name,
            limits,
            now,
            certificates: findings
                .chain
                .iter()
                .enumerate()
                .map(|(depth, certificate)| Judged {
                    depth,
                    certificate: certificate.clone(),
                    faults: Vec::new(),
                })
                .collect(),
            connection: None,
            note: None,
        };
        judgement.add_what_was_found();
        judgement.add_common_name();
        judgement.add_ends();
        judgement.judge_connection(result);
        judgement
    }

    fn add(&mut self, depth: usize, certificate: &X509Ref, fault: Fault) {
        let at = self.certificates.iter().position(|judged| judged.depth == depth).unwrap_or_else(|| {
            self.certificates.push(Judged { depth, certificate: certificate.to_owned(), faults: Vec::new() });
            self.certificates.len() - 1
        });
        let faults = &mut self.certificates[at].faults;
        if let Err(place) = faults.binary_search(&fault) {
            faults.insert(place, fault);
        }
    }

    fn add_what_was_found(&mut self) {
        let findings = self.findings;
        for found in &findings.faults {
            let depth = usize::try_from(found.depth).unwrap_or(usize::MAX);
            let Some(certificate) = found.certificate.as_ref().or_else(|| findings.chain.get(depth)) else {
                continue;
            };
            let sent = findings.sent.len();
            if let Some(fault) = Fault::of(found.result, certificate, self.now, self.name, sent) {
                self.add(depth, certificate, fault);
            }
        }
    }

    /// OpenSSL takes the common name where there is no alternative DNS name; browsers do not.
    fn add_common_name(&mut self) {
        let Some(own) = self.findings.chain.first() else { return };
        let mismatched = self
            .certificates
            .iter()
            .flat_map(|judged| &judged.faults)
            .any(|fault| matches!(fault, Fault::WrongName { .. }));
        let is_name = self.name.parse::<std::net::IpAddr>().is_err();
        if is_name && !mismatched && !shown::carried(own).has_dns_name {
            self.add(0, own, Fault::CommonNameOnly { asked: self.name.to_owned() });
        }
    }

    /// The ends that come too soon, of the whole chain: when an intermediate expires, so does what stands on it.
    fn add_ends(&mut self) {
        let within = |left: i64, limit: Option<u32>| limit.is_some_and(|limit| left < i64::from(limit));
        for (depth, certificate) in self.findings.chain.iter().enumerate() {
            let Some(left) = self.days_left(certificate).filter(|left| *left >= 0) else { continue };
            let is_critical = within(left, self.limits.critical);
            if is_critical || within(left, self.limits.warning) {
                self.add(depth, certificate, Fault::ExpiresSoon { days: left, is_critical });
            }
        }
    }

    fn judge_connection(&mut self, result: Result<(), tls::Error>) {
        let agreed = self.findings.agreed.as_ref();
        self.connection = match result {
            Ok(()) if self.findings.sent.is_empty() => {
                Some((State::Critical, "the server shows no certificate".to_owned()))
            }
            Err(tls::Error::Setup(error)) => Some((State::Unknown, format!("cannot set up TLS: {error}"))),
            // It saw none of ours after it had shown its own; before TLS 1.3 there is no alert of its own for that.
            Err(tls::Error::Refused(40 | 41 | 42 | 116)) if !self.findings.sent.is_empty() => {
                self.note = Some("the server demands a client's certificate");
                None
            }
            Err(error) => Some((State::Critical, error.to_string())),
            Ok(()) => None,
        }
        .or_else(|| agreed.and_then(weakness).map(|weakness| (State::Critical, weakness)));
    }

    fn days_left(&self, certificate: &X509Ref) -> Option<i64> {
        shown::end(certificate).map(|end| end.days_since(self.now))
    }

    /// The answer; `verbose` tells of the chain, too.
    pub(super) fn answer(&self, verbose: bool) -> Answer {
        let faulty = || self.certificates.iter().filter(|judged| !judged.faults.is_empty());
        let state = State::worst(
            faulty()
                .flat_map(|judged| &judged.faults)
                .map(Fault::state)
                .chain(self.connection.iter().map(|(state, _)| *state))
                .chain([State::Ok]),
        );
        let mut sentences: Vec<String> = faulty().take(TOLD).map(sentence).collect();
        match faulty().count().saturating_sub(TOLD) {
            0 => {}
            more => sentences.push(format!("and {more} more certificates with faults")),
        }
        if sentences.is_empty() && (self.connection.is_none() || self.note.is_some()) {
            sentences.extend(self.praise());
        }
        sentences.extend(self.connection.iter().map(|(_, sentence)| sentence.clone()));
        sentences.extend(self.note.map(str::to_owned));
        let mut answer = Answer::new(state, &sentences.join("; "));
        if let Some(performance) = self.performance() {
            answer = answer.with_performance(performance);
        }
        for judged in faulty() {
            for fault in &judged.faults {
                let who = role(judged.depth, &judged.certificate);
                let span = span(&judged.certificate);
                answer = answer.with_detail(&format!("{who}, {span}: {fault}: {}", fault.advice()));
            }
        }
        if verbose { self.described(answer) } else { answer }
    }

    /// What is well.
    fn praise(&self) -> Option<String> {
        let (own, authority) = (self.findings.chain.first()?, self.findings.chain.last()?);
        let left = self.days_left(own).map_or_else(String::new, |left| format!(", {}", days(left)));
        Some(format!(
            "{} {}{left}: carries {}, trusted by {}",
            shown::subject(own),
            until(own),
            self.name,
            shown::subject(authority)
        ))
    }

    /// Days left, of the server's own certificate and of the first that ends; below a limit is an alarm, which the guidelines
    /// write `LIMIT:`.
    fn performance(&self) -> Option<String> {
        let own = self.days_left(self.findings.chain.first()?)?;
        let soonest =
            self.findings.chain.iter().filter_map(|certificate| self.days_left(certificate)).min()?;
        let limit = |limit: Option<u32>| limit.map_or_else(String::new, |days| format!("{days}:"));
        let limits = format!(";{};{}", limit(self.limits.warning), limit(self.limits.critical));
        let limits = limits.trim_end_matches(';');
        Some(format!("days_left={own}{limits} days_left_chain={soonest}{limits}"))
    }

    /// With all that is worth knowing of chain and connection.
    fn described(&self, mut answer: Answer) -> Answer {
        if let Some(agreed) = &self.findings.agreed {
            answer = answer.with_detail(&format!("{}, {}", agreed.protocol, agreed.cipher));
        }
        let sent = self.findings.sent.len();
        answer = answer.with_detail(&format!("certificates sent: {sent}"));
        for (depth, certificate) in self.findings.chain.iter().enumerate().take(LISTED) {
            let serial = certificate
                .serial_number()
                .to_bn()
                .and_then(|number| number.to_hex_str().map(|text| text.to_string()))
                .unwrap_or_default();
            answer = answer.with_detail(&format!(
                "{depth}: {}, {}, issued by {}, serial {serial:.64}",
                role(depth, certificate),
                span(certificate),
                shown::issuer(certificate)
            ));
            if depth == 0 {
                let names = shown::carried(certificate).names;
                answer = answer.with_detail(&format!("names carried: {}: {}", names.len(), names.join(", ")));
            }
        }
        answer
    }
}

/// A certificate and all its faults.
fn sentence(judged: &Judged) -> String {
    let faults: Vec<String> = judged.faults.iter().map(ToString::to_string).collect();
    let (who, until) = (role(judged.depth, &judged.certificate), until(&judged.certificate));
    format!("{who} {until}: {}", faults.join(", "))
}

/// What a certificate is in the chain, and whose.
fn role(depth: usize, certificate: &X509Ref) -> String {
    let subject = shown::subject(certificate);
    let is_root =
        certificate.subject_name().try_cmp(certificate.issuer_name()).is_ok_and(std::cmp::Ordering::is_eq);
    match (depth, is_root) {
        (0, _) => subject,
        (_, true) => format!("root {subject}"),
        (_, false) => format!("intermediate {subject}"),
    }
}

/// The end of its validity.
fn until(certificate: &X509Ref) -> String {
    shown::end(certificate).map_or_else(|| "without an end".to_owned(), |end| format!("until {end}"))
}

/// Its whole validity.
fn span(certificate: &X509Ref) -> String {
    let minute = |moment: Option<Moment>| moment.map_or_else(|| "no date".to_owned(), Moment::to_the_minute);
    format!("valid from {} to {}", minute(shown::begin(certificate)), minute(shown::end(certificate)))
}

/// What Debian's clients refuse in what was agreed on.
fn weakness(agreed: &Agreed) -> Option<String> {
    if agreed.is_outdated {
        let version = if agreed.protocol == "TLSv1.1" { "1.1" } else { "1.0" };
        return Some(format!(
            "the server speaks TLS {version} at most, which Debian's clients refuse (RFC 8996)"
        ));
    }
    let bits = agreed.weak_exchange?;
    Some(format!("the server's Diffie-Hellman key has {bits} bits, which Debian's clients refuse"))
}

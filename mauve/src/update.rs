//! What is told of alerts, and its form in a datagram.

use std::num::NonZeroU64;

use prost::Message;

use crate::text::Text;
use crate::wire;

/// The UDP port of an alert station.
pub const PORT: u16 = 32741;
/// The most bytes that a datagram carries over IPv4: the 65,535 of a packet but 20 of IP's header and 8 of UDP's. Nothing
/// longer is sent; over IPv6 it might be longer by 20.
pub const SENT_MAX: usize = 65_507;
/// The most bytes that UDP's own field for the length can name: how much room to receive in.
pub const RECEIVED_MAX: usize = 65_535;

/// Seconds since 1970-01-01 00:00 UTC, by the sender's clock. On the wire 0 means that nothing is said, so it is no time.
pub type Time = Option<NonZeroU64>;

/// What one source tells of its alerts, in one datagram.
///
/// Text that is empty and numbers that are 0 say nothing: what the station knows stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AlertUpdate {
    /// A random number by which a station knows a datagram that comes twice.
    pub transmission_id: u64,
    /// Who tells; alerts of two sources are apart, whatever their ids. Not empty.
    pub source: Text,
    /// Whether every other alert of the source is to be cleared.
    pub replace: bool,
    /// What is told.
    pub alerts: Vec<Alert>,
    /// No scheme for it was ever defined.
    pub signature: Vec<u8>,
    /// When it was sent; a station shifts all times by how far that is from its own clock.
    pub transmission_time: Time,
}

/// An alert as it is to be from now on.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Alert {
    /// What tells the alerts of a source apart. Not empty.
    pub id: Text,
    /// When it was or will be raised.
    pub raise_time: Time,
    /// When it was or will be cleared.
    pub clear_time: Time,
    /// What it is about: a host, as a rule.
    pub subject: Text,
    /// For a pager: short, and the same for as long as the alert is.
    pub summary: Text,
    /// Everything else, as a fragment of HTML. It is the sender's: whoever shows it decides which elements are let through.
    pub detail: Text,
    /// How it ranks among the alerts of its source.
    pub importance: u32,
    /// Nobody is to be notified of it before.
    pub suppress_until: Time,
}

/// Why a datagram is no update. The whole of it counts as not received.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// More bytes than UDP has.
    #[error("{0} bytes are more than a datagram can have, which is {RECEIVED_MAX}")]
    TooLong(usize),
    /// It is not in the form of the wire.
    #[error("the datagram is no Mauve message")]
    Malformed(#[source] prost::DecodeError),
    /// A field that must be there is not, or is empty.
    #[error("the datagram has no `{0}`")]
    Missing(&'static str),
}

/// Alerts that fit into no datagram.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the alerts take {size} bytes, and a datagram holds {SENT_MAX}; say less, or send them apart")]
pub struct TooLarge {
    /// How many bytes they take.
    pub size: usize,
}

impl AlertUpdate {
    /// Reads a datagram, whatever it is: it comes from whoever can reach the port.
    ///
    /// It takes time and memory by its length alone: at most 13,000 alerts fit, which take less than 10 MiB until this
    /// returns. Fields that are not known are passed over, groups to a depth of 100; of a field that is there twice the last one counts.
    ///
    /// # Errors
    /// It is none of ours. A single wrong alert is as a wrong datagram: what follows it cannot be trusted either.
    pub fn decode(datagram: &[u8]) -> Result<Self, Error> {
        if datagram.len() > RECEIVED_MAX {
            return Err(Error::TooLong(datagram.len()));
        }
        let update = wire::AlertUpdate::decode(datagram).map_err(Error::Malformed)?;
        Ok(Self {
            transmission_id: update.transmission_id.ok_or(Error::Missing("transmission_id"))?,
            source: required_text(update.source, "source")?,
            replace: update.replace.ok_or(Error::Missing("replace"))?,
            alerts: update.alert.into_iter().map(Alert::from_wire).collect::<Result<_, _>>()?,
            signature: update.signature.unwrap_or_default(),
            transmission_time: time(update.transmission_time),
        })
    }

    /// The datagram that says this.
    ///
    /// Every field is written, also one that says nothing, as the original `mauvesend` does; so the bytes are the same, and
    /// what is unset has one form.
    ///
    /// # Errors
    /// It does not fit.
    pub fn encode(&self) -> Result<Vec<u8>, TooLarge> {
        let update = wire::AlertUpdate {
            transmission_id: Some(self.transmission_id),
            source: Some(bytes(&self.source)),
            replace: Some(self.replace),
            alert: self.alerts.iter().map(Alert::to_wire).collect(),
            signature: Some(self.signature.clone()),
            transmission_time: number(self.transmission_time),
        };
        let size = update.encoded_len();
        if size > SENT_MAX { Err(TooLarge { size }) } else { Ok(update.encode_to_vec()) }
    }
}

impl Alert {
    fn from_wire(alert: wire::Alert) -> Result<Self, Error> {
        Ok(Self {
            id: required_text(alert.id, "id")?,
            raise_time: time(alert.raise_time),
            clear_time: time(alert.clear_time),
            subject: text(alert.subject),
            summary: text(alert.summary),
            detail: text(alert.detail),
            importance: alert.importance.unwrap_or_default(),
            suppress_until: time(alert.suppress_until),
        })
    }

    fn to_wire(&self) -> wire::Alert {
        wire::Alert {
            id: Some(bytes(&self.id)),
            raise_time: number(self.raise_time),
            clear_time: number(self.clear_time),
            subject: Some(bytes(&self.subject)),
            summary: Some(bytes(&self.summary)),
            detail: Some(bytes(&self.detail)),
            importance: Some(self.importance),
            suppress_until: number(self.suppress_until),
        }
    }
}

fn required_text(field: Option<Vec<u8>>, name: &'static str) -> Result<Text, Error> {
    let text = text(field);
    if text.is_empty() { Err(Error::Missing(name)) } else { Ok(text) }
}

fn text(field: Option<Vec<u8>>) -> Text {
    Text::from_bytes(&field.unwrap_or_default())
}

fn time(field: Option<u64>) -> Time {
    field.and_then(NonZeroU64::new)
}

#[expect(clippy::unnecessary_wraps, reason = "a field of the wire, where it is optional")]
fn number(time: Time) -> Option<u64> {
    Some(time.map_or(0, NonZeroU64::get))
}

fn bytes(text: &Text) -> Vec<u8> {
    text.as_bytes().to_vec()
}

//! Mauve's wire, and `mauvesend`, which sends alerts over it.
//!
//! Mauve (Bytemark's mauvealert) is an alert station: it is told of alerts, and decides whom to tell in turn. What it is
//! told is one [`AlertUpdate`] in one UDP datagram, without a reply; so whoever tells it says it again from time to time.
//!
//! A station receives with [`AlertUpdate::decode`]; `mauvesend` is [`run`].
//!
//! # `mauvesend` and the original
//!
//! The original `mauvesend` is a Ruby program of mauvealert. Ours takes its command lines and sends its datagrams, byte for
//! byte but for the random number, and also ends with 1 whatever went wrong. What is otherwise:
//! - `--text` is a detail that is no HTML, and `-` in place of a text is standard input. What a plugin of a monitoring engine
//!   prints is for neither a shell nor a browser to interpret.
//! - Control characters are replaced, as are bytes that are no UTF-8 ([`Text`]).
//! - `-r -10m` is a time, where the original wants `-r-10m`. `-s=x` is `x`, not `=x`.
//! - A destination that the original would read in part (`host:http`, an IPv6 address without brackets) is refused, and one
//!   that cannot be served keeps no other from being served. Nothing takes longer than some seconds.
//! - A name is resolved by the C library, so that `/etc/hosts` counts; a long SRV answer is fetched over TCP.
//! - `--manual` is `--help`; `man mauvesend` is the manual. `--root` is as in all our programs, for what is read; names are
//!   resolved as this machine does.

mod command_line;
mod delivery;
mod destination;
mod input;
mod manual;
mod mauvesend;
mod moment;
mod resolution;
mod text;
mod update;
mod wire;

pub use mauvesend::run;
pub use text::Text;
pub use update::{Alert, AlertUpdate, Error, PORT, RECEIVED_MAX, SENT_MAX, Time, TooLarge};

//! The messages of `mauve.proto` as bytes know them.
//!
//! Written by hand, not generated: what prost makes of `required` cannot tell a field that is missing from one that is
//! zero, and what it makes of `string` gives a whole datagram up for one byte that is no UTF-8. So every field is
//! optional here, and text is bytes; [`crate::update`] judges both. It also needs neither protoc nor its libraries to
//! build. `tests/wire.rs` holds these numbers and types to `mauve.proto`, by protoc and Python.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub(crate) struct AlertUpdate {
    #[prost(uint64, optional, tag = "1")]
    pub transmission_id: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "2")]
    pub source: Option<Vec<u8>>,
    #[prost(bool, optional, tag = "3")]
    pub replace: Option<bool>,
    #[prost(message, repeated, tag = "4")]
    pub alert: Vec<Alert>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub signature: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "8")]
    pub transmission_time: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Alert {
    #[prost(bytes = "vec", optional, tag = "1")]
    pub id: Option<Vec<u8>>,
    #[prost(uint64, optional, tag = "2")]
    pub raise_time: Option<u64>,
    #[prost(uint64, optional, tag = "3")]
    pub clear_time: Option<u64>,
    #[prost(bytes = "vec", optional, tag = "4")]
    pub subject: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "5")]
    pub summary: Option<Vec<u8>>,
    #[prost(bytes = "vec", optional, tag = "6")]
    pub detail: Option<Vec<u8>>,
    #[prost(uint32, optional, tag = "7")]
    pub importance: Option<u32>,
    #[prost(uint64, optional, tag = "8")]
    pub suppress_until: Option<u64>,
}

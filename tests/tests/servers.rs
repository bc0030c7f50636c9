//! The servers that the probes are tried against: before a verdict on a probe counts, its server is seen to work.

#[path = "servers/apache.rs"]
mod apache;
#[path = "servers/authority.rs"]
mod authority;
#[path = "servers/client.rs"]
mod client;
#[path = "servers/dovecot.rs"]
mod dovecot;
#[path = "servers/failures.rs"]
mod failures;
#[path = "servers/openssl_server.rs"]
mod openssl_server;
#[path = "servers/postfix.rs"]
mod postfix;
#[path = "servers/slapd.rs"]
mod slapd;

//! TLS over a [`Connection`], by OpenSSL alone: one way for the certificate's probe and for the mail's.
//!
//! The verification collects every fault and goes on, so that one handshake tells all of them; whether the connection may be
//! used is then the caller's decision, taken before a byte is sent over it. The authorities are looked up in the hashed folder
//! (`c_rehash`, `update-ca-certificates`), a file each; reading the bundle of all of them costs milliseconds.

use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use openssl::error::ErrorStack;
use openssl::ssl::{
    ErrorCode, HandshakeError, Ssl, SslContext, SslContextBuilder, SslMethod, SslStream, SslVerifyMode,
};
use openssl::x509::store::X509Lookup;
use openssl::x509::verify::X509CheckFlags;
use openssl::x509::{X509, X509VerifyResult};

use crate::connection::{self, Connection};

/// The authorities that a Debian system trusts, below `--root`.
pub const AUTHORITIES: &str = "etc/ssl/certs";

/// A connection in plain or over TLS.
#[derive(Debug)]
pub enum Stream {
    /// In plain.
    Plain(Connection),
    /// Over TLS.
    Secured(SslStream<Connection>),
}

/// A fault that the verification found.
#[derive(Debug, Clone)]
pub struct Fault {
    /// Which, as OpenSSL names it (`openssl-verification-options(1)`).
    pub result: X509VerifyResult,
    /// How far from the server's own certificate, which is at 0.
    pub depth: u32,
    /// The certificate, where one is concerned.
    pub certificate: Option<X509>,
}

/// What was found out about the server's certificates.
#[derive(Debug, Default)]
pub struct Findings {
    /// Every fault of the verification.
    pub faults: Vec<Fault>,
}

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The handshake failed; the findings until then are there all the same.
    #[error("the TLS handshake failed")]
    Handshake(#[source] openssl::ssl::Error),
    /// The other side does not speak TLS.
    #[error("the server answers in plain text where TLS was expected: {0:?}")]
    PlainText(String),
    /// The connection ended in the handshake.
    #[error(transparent)]
    Connection(connection::Error),
    /// OpenSSL could not be set up.
    #[error("cannot set up TLS")]
    Setup(#[from] ErrorStack),
}

/// A context that trusts the authorities below this root.
///
/// # Errors
/// OpenSSL's.
pub fn context(root: &Path) -> Result<SslContextBuilder, ErrorStack> {
    let mut context = SslContext::builder(SslMethod::tls_client())?;
    let authorities = root.join(AUTHORITIES);
    // A folder that is not there is no error: then nothing is trusted, and the verification says so.
    context
        .cert_store_mut()
        .add_lookup(X509Lookup::hash_dir())?
        .add_dir(&authorities.to_string_lossy(), openssl::ssl::SslFiletype::PEM)?;
    Ok(context)
}

/// Makes the TLS handshake. `name` is what is asked for (SNI) and what the certificate must carry.
///
/// # Errors
/// The handshake failed. Faults of the certificate are no errors here; they are in the findings, which are given in both cases.
pub fn secure(
    mut connection: Connection,
    context: &SslContext,
    name: &str,
) -> (Findings, Result<SslStream<Connection>, Error>) {
    connection.stage("making the TLS handshake");
    let faults = Arc::new(Mutex::new(Vec::new()));
    let stream = handshake(connection, context, name, &faults);
    let faults = std::mem::take(&mut *faults.lock().unwrap_or_else(PoisonError::into_inner));
    (Findings { faults }, stream)
}

fn handshake(
    connection: Connection,
    context: &SslContext,
    name: &str,
    faults: &Arc<Mutex<Vec<Fault>>>,
) -> Result<SslStream<Connection>, Error> {
    let mut ssl = Ssl::new(context)?;
    let parameters = ssl.param_mut();
    if let Ok(address) = name.parse::<IpAddr>() {
        parameters.set_ip(address)?;
    } else {
        parameters.set_hostflags(X509CheckFlags::NO_PARTIAL_WILDCARDS | X509CheckFlags::NEVER_CHECK_SUBJECT);
        parameters.set_host(name)?;
        // RFC 6066, section 3: an address is no name to ask for.
        ssl.set_hostname(name)?;
    }
    let found = Arc::clone(faults);
    ssl.set_verify_callback(SslVerifyMode::PEER, move |sound, verification| {
        if !sound {
            found.lock().unwrap_or_else(PoisonError::into_inner).push(Fault {
                result: verification.error(),
                depth: verification.error_depth(),
                certificate: verification.current_cert().map(ToOwned::to_owned),
            });
        }
        true
    });
    match ssl.connect(connection) {
        Ok(stream) => Ok(stream),
        Err(HandshakeError::SetupFailure(error)) => Err(Error::Setup(error)),
        Err(HandshakeError::Failure(stream) | HandshakeError::WouldBlock(stream)) => {
            let stage = stream.get_ref().current_stage();
            let first = stream.get_ref().first_bytes().to_vec();
            let error = stream.into_error();
            if error.code() == ErrorCode::SSL && is_text(&first) {
                let text = String::from_utf8_lossy(&first);
                return Err(Error::PlainText(text.lines().next().unwrap_or_default().to_owned()));
            }
            match error.into_io_error() {
                Ok(error) => Err(Error::Connection(connection::Error::out_of(error, stage))),
                // The other side closed without a word.
                Err(error) if error.ssl_error().is_none() => {
                    Err(Error::Connection(connection::Error::Closed { stage }))
                }
                Err(error) => Err(Error::Handshake(error)),
            }
        }
    }
}

/// Whether it looks like text; a TLS record begins with 0x14 to 0x17 (RFC 8446, section 5.1).
fn is_text(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\r' | b'\n' | b'\t' | 0x80..))
}

impl Stream {
    /// The connection below.
    #[must_use]
    pub fn connection(&self) -> &Connection {
        match self {
            Self::Plain(connection) => connection,
            Self::Secured(stream) => stream.get_ref(),
        }
    }

    /// Says what is being done from now on, for errors.
    pub fn stage(&mut self, stage: &'static str) {
        match self {
            Self::Plain(connection) => connection.stage(stage),
            Self::Secured(stream) => stream.get_mut().stage(stage),
        }
    }

    /// Whether it is over TLS.
    #[must_use]
    pub fn is_secured(&self) -> bool {
        matches!(self, Self::Secured(_))
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(connection) => connection.read(buffer),
            Self::Secured(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Plain(connection) => connection.write(buffer),
            Self::Secured(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Plain(connection) => connection.flush(),
            Self::Secured(stream) => stream.flush(),
        }
    }
}

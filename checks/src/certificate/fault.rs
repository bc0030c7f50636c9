//! The faults of a certificate: what each is called in the first line, how bad it is, and what to do about it.

use std::fmt;

use monitoring_info::state::State;
use openssl::nid::Nid;
use openssl::pkey::Id;
use openssl::x509::{X509Ref, X509VerifyResult};
use openssl_sys as codes;

use super::shown::{self, Moment, days};

/// A fault of one certificate, in the order in which they are told. Display is as short as the first line needs it; the
/// certificate is named before it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// So many whole days ago.
    Expired(i64),
    /// Before this time.
    NotYetValid(Option<Moment>),
    /// In so many whole days, which is too soon for whoever asked.
    ExpiresSoon { days: i64, is_critical: bool },
    /// The name that it should carry, and what it carries instead.
    WrongName { asked: String, carried: String },
    /// The name stands in the common name, where not every client looks.
    CommonNameOnly { asked: String },
    /// It is its own issuer, and nobody trusts it.
    SelfSigned,
    /// The server sends nothing above its own certificate, and its issuer is not trusted.
    ChainIncomplete { issuer: String },
    /// The server sends a chain, and the issuer of its last certificate is not trusted.
    UnknownAuthority { issuer: String },
    /// The server sends the chain up to its root, which is not trusted.
    UntrustedRoot,
    /// The key is too weak for Debian's clients.
    WeakKey(String),
    /// The signature is too weak for Debian's clients.
    WeakSignature(String),
    /// Another, in OpenSSL's words.
    Other(String),
}

impl Fault {
    /// What OpenSSL found wrong with a certificate; none where another fault says it already.
    ///
    /// `asked` is the name to be carried, `sent` how many certificates the server sent.
    pub(super) fn of(
        result: X509VerifyResult,
        certificate: &X509Ref,
        now: Moment,
        asked: &str,
        sent: usize,
    ) -> Option<Self> {
        let issuer = || shown::issuer(certificate);
        Some(match result.as_raw() {
            codes::X509_V_ERR_CERT_HAS_EXPIRED => {
                Self::Expired(shown::end(certificate).map_or(0, |end| now.days_since(end)))
            }
            codes::X509_V_ERR_CERT_NOT_YET_VALID => Self::NotYetValid(shown::begin(certificate)),
            codes::X509_V_ERR_HOSTNAME_MISMATCH | codes::X509_V_ERR_IP_ADDRESS_MISMATCH => {
                Self::WrongName { asked: asked.to_owned(), carried: shown::carried(certificate).to_string() }
            }
            codes::X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT => Self::SelfSigned,
            codes::X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN => Self::UntrustedRoot,
            codes::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY if sent <= 1 => {
                Self::ChainIncomplete { issuer: issuer() }
            }
            codes::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
            | codes::X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT => Self::UnknownAuthority { issuer: issuer() },
            // It follows from the issuer that is not there.
            codes::X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE => return None,
            codes::X509_V_ERR_EE_KEY_TOO_SMALL | codes::X509_V_ERR_CA_KEY_TOO_SMALL => {
                Self::WeakKey(key(certificate))
            }
            codes::X509_V_ERR_CA_MD_TOO_WEAK => Self::WeakSignature(digest(certificate)),
            _ => Self::Other(result.error_string().to_owned()),
        })
    }

    /// What it means for the service.
    pub(super) fn state(&self) -> State {
        match self {
            Self::ExpiresSoon { is_critical: false, .. } | Self::CommonNameOnly { .. } => State::Warning,
            _ => State::Critical,
        }
    }

    /// What to do next.
    pub(super) fn advice(&self) -> String {
        match self {
            Self::Expired(_) | Self::ExpiresSoon { .. } => {
                "renew it, and have the service load the new one".to_owned()
            }
            Self::NotYetValid(_) => {
                "show an older one until then, or see whether a clock is wrong".to_owned()
            }
            Self::WrongName { asked, .. } => format!(
                "have the server show one for {asked}, or ask for a name that it carries (--hostname, ssl_hostname)"
            ),
            Self::CommonNameOnly { .. } => {
                "browsers refuse it: have it issued with the name as an alternative name (subjectAltName)"
                    .to_owned()
            }
            Self::SelfSigned => format!("have an authority issue one, or {TRUST}"),
            Self::ChainIncomplete { issuer } => format!(
                "have the server send its intermediate certificates too (often a file \"fullchain\"); or, if {issuer} is a \
                 root of yours, {TRUST}"
            ),
            Self::UnknownAuthority { issuer } => {
                format!(
                    "if {issuer} is an authority of yours, {TRUST}; else have the server send the certificates up to a \
                         trusted one"
                )
            }
            Self::UntrustedRoot => {
                format!("have another authority issue the certificate; or, if this one is yours, {TRUST}")
            }
            Self::WeakKey(_) => {
                "Debian's clients refuse it: have one issued for an RSA key of 2048 bits or more, or an \
                                 elliptic one of 256"
                    .to_owned()
            }
            Self::WeakSignature(_) => {
                "Debian's clients refuse it: have one issued with a signature by SHA-256 or better".to_owned()
            }
            Self::Other(_) => "openssl-verification-options(1) describes it".to_owned(),
        }
    }
}

/// How to trust an authority on Debian.
const TRUST: &str = "trust it on the monitoring server: a copy NAME.crt into /usr/local/share/ca-certificates, then update-ca-certificates";

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Expired(ago) => write!(f, "expired {} ago", days(*ago)),
            Self::NotYetValid(Some(begin)) => write!(f, "not valid before {begin}"),
            Self::NotYetValid(None) => f.write_str("not valid yet"),
            Self::ExpiresSoon { days: left, .. } => write!(f, "expires in {}", days(*left)),
            Self::WrongName { asked, carried } => write!(f, "does not carry {asked} ({carried})"),
            Self::CommonNameOnly { asked } => write!(f, "carries {asked} as common name only"),
            Self::SelfSigned => f.write_str("self-signed and not trusted"),
            Self::ChainIncomplete { issuer } => {
                write!(
                    f,
                    "its issuer {issuer} is neither sent (a missing intermediate?) nor a trusted authority"
                )
            }
            Self::UnknownAuthority { issuer } => write!(f, "its issuer {issuer} is an unknown authority"),
            Self::UntrustedRoot => f.write_str("not a trusted authority"),
            Self::WeakKey(key) => write!(f, "has {key}"),
            Self::WeakSignature(digest) => write!(f, "signed with {digest}"),
            Self::Other(said) => f.write_str(said),
        }
    }
}

/// Its public key, for a sentence.
fn key(certificate: &X509Ref) -> String {
    let Ok(key) = certificate.public_key() else { return "a key of an unknown kind".to_owned() };
    let kind = match key.id() {
        Id::RSA => "an RSA key",
        Id::EC => "an elliptic key",
        Id::DSA => "a DSA key",
        _ => "a key",
    };
    format!("{kind} of {} bits", key.bits())
}

/// The digest of its signature, for a sentence.
fn digest(certificate: &X509Ref) -> String {
    let algorithm = certificate.signature_algorithm().object().nid();
    match algorithm.signature_algorithms().map(|algorithms| algorithms.digest) {
        Some(Nid::SHA1) => "SHA-1".to_owned(),
        Some(Nid::MD5) => "MD5".to_owned(),
        _ => algorithm.long_name().unwrap_or("an unknown algorithm").to_owned(),
    }
}

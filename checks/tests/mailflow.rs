//! The mail round trip against real servers, against servers that want to do harm, and cut off anywhere.

mod mailflow {
    pub mod cost;
    pub mod dovecot;
    pub mod full;
    pub mod hostile;
    pub mod killed;
    pub mod kinds;
    pub mod many;
    pub mod monitor;
    pub mod owner;
    pub mod postfix;
    pub mod random;
    pub mod recheck;
    pub mod scripted;
}

//! The verb `maintenance`.

use jiff::Timestamp;
use monitoring_info::maintenance::{Change, SECONDS_MAX, Standing};
use monitoring_info::registration::{RefusalCode, Reply, Request};

use super::document::No;
use super::{Failure, Session};
use crate::{maintenance, target};

impl Session<'_> {
    pub(super) fn maintenance(&mut self, request: &Request) -> Result<Reply, Failure> {
        let Some(change) = request.maintenance else {
            return self
                .refuse(No::new(RefusalCode::Malformed, "the document does not say what begins or ends"));
        };
        if let Change::Begin { seconds } = change {
            self.line.pair("seconds", seconds);
            if !(1..=SECONDS_MAX).contains(&seconds) {
                return self.refuse(No::new(
                    RefusalCode::Limit,
                    format!("a maintenance lasts 1 to {SECONDS_MAX} s, not {seconds}"),
                ));
            }
        }
        let (_turn, key) = match self.approved_and_its_turn(request)? {
            Ok(held) => held,
            Err(reply) => return Ok(reply),
        };
        let now = Timestamp::now();
        let held = match maintenance::change(self.paths, &key.name, change, now) {
            Ok(held) => held,
            Err(error @ maintenance::Error::TooMany) => {
                return self.refuse(No::new(RefusalCode::Limit, error.to_string()).help(
                    "what was said before stays in force, and ends by itself; the engine's administrator can set a \
                     longer downtime",
                ));
            }
            Err(error) => return Err(error.into()),
        };
        self.seen(&key.name);
        let left = held.until.duration_since(now).as_secs().max(0);
        self.line.pair("left", left);
        let problem = match self.context.configuration() {
            Ok(configuration) => target::deaf(self.paths, &configuration),
            Err(_) => Some("server.conf is faulty; auto-monitor-server doctor says where".to_owned()),
        };
        let seconds = u32::try_from(left).unwrap_or(u32::MAX);
        Ok(Reply { maintenance: Some(Standing { seconds, problem }), ..self.known(&key)? })
    }
}

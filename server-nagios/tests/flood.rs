//! Many at once: alone in a program of its own, because it takes the whole machine.

mod scratch;

use monitoring_info::registration::Reply;
use scratch::Server;

#[test]
fn three_hundred_at_once_break_nothing() {
    let server = Server::start("");
    let web1 = server.approved("web1.example.org");
    let document = web1.registration(1, &["a", "b", "c"]).to_string();
    let children: Vec<_> = (0..300)
        .map(|_| {
            let mut open = web1.open("register");
            // Whoever is turned away at the door cannot be written to.
            let _ = open.write(document.as_bytes());
            drop(open.0.stdin.take());
            open.0
        })
        .collect();
    let mut answered = 0;
    for child in children {
        let output = child.wait_with_output().unwrap();
        if output.status.success() {
            let reply: Reply = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!((reply.refusal, reply.generation), (None, Some(1)));
            answered += 1;
        } else {
            // Turned away before it had logged in, with nothing half said.
            assert_eq!((output.status.code(), output.stdout.len()), (Some(255), 0));
        }
    }
    eprintln!("{answered} of 300 were answered");
    // A hundred may be at the door at once, and on a busy machine hardly anybody leaves it before the last has come.
    assert!(answered >= 50, "{answered} were answered");
    assert!(web1.register(2, &["a"]).refusal.is_none());
}

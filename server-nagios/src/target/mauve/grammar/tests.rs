use proptest::prelude::*;

use super::*;

const LISTS: &str = "# Generated\n\nsource_list 'tag a',\n  'web1.example.org',\n  '192.0.2.1', '2001:db8::1',\n  /\\Adb\\z/,\n  \
                     /\\Aabc[.]de\\z/\n\nsource_list 'tag none'\n";
const GROUP: &str = "alert_group('databases') {\n  includes { in_source_list?('tag a') && ['host', 'svc:x \
                     y'].include?(alert_id.split('@').first) }\n  level URGENT\n  notify('alice') {\n    every 15.minutes\n  }\n  \
                     notify('boss') {\n    every 6.hours\n    during { (days_in_week(1, 2) && hours_in_day(9, 10)) || \
                     !(working_hours?) && unacknowledged(1.hours) }\n  }\n}\n";

#[test]
fn what_is_written_is_read_back() {
    let routing = read(LISTS).unwrap();
    assert_eq!(
        routing.lists["tag a"],
        ["web1.example.org", "192.0.2.1", "2001:db8::1", "db", "abc.de"],
        "{routing:?}"
    );
    assert_eq!(routing.lists["tag none"], [""; 0]);
    let routing = read(&format!(
        "{GROUP}\n# more\nalert_group('rest') {{\n  includes {{ source == 'n' }}\n  level LOW\n}}\n"
    ));
    let routing = routing.unwrap();
    let [group, rest] = routing.groups.as_slice() else { panic!("{routing:?}") };
    assert_eq!((group.name.as_str(), group.level, group.notify.len()), ("databases", Level::Urgent, 2));
    assert_eq!(group.notify[0].every, Some(Duration::from_secs(900)));
    let during = group.notify[1].during.as_ref().unwrap().to_string();
    assert_eq!(
        during,
        "(days_in_week(1, 2) && hours_in_day(9, 10)) || (!(working_hours?) && unacknowledged(1.hours))"
    );
    assert_eq!(rest.includes.to_string(), "source == 'n'");
    assert_eq!(read("").unwrap(), Routing::default());
}

#[test]
fn nothing_else_is_a_routing() {
    for (line, text, message) in [
        (1, "`id`", "stands outside of a text"),
        (1, "system('id')", "`system` stands where `source_list` or `alert_group` should"),
        (1, "source_list \"a\"", "`\"` stands outside of a text"),
        (1, "source_list 'a', `id`", "stands outside of a text"),
        (2, "source_list 'a',\n %w(x)", "`%` stands outside of a text"),
        (1, "source_list 'a', '#{x}'", "`#{x}` is neither a host nor an address"),
        (1, "source_list 'a', 'b'; exit", "`;` stands outside of a text"),
        (1, "source_list 'a', 'x' exit", "`exit` stands where the end of the line should"),
        (2, "source_list 'a'\n, 'x'", "`,` stands where `source_list` or `alert_group` should"),
        (1, "source_list 'a', 'x' 'y'", "the text `y` stands where the end of the line should"),
        (1, "source_list 'a', 'db'", "the station takes `db` for an address, and stops"),
        (1, "source_list 'a', 'web*'", "`web*` is neither a host nor an address"),
        (1, "source_list 'a', 'web1..9'", "`web1..9` is neither a host nor an address"),
        (1, "source_list 'a', '/x/'", "`/x/` is neither a host nor an address"),
        (1, "source_list 'a', /\\A.*\\z/", "is not of the form"),
        (1, "source_list 'a', /\\A#{exit}\\z/", "is not of the form"),
        (1, "source_list 'a', /x/", "is not of the form"),
        (1, "source_list 'a', 'x\\n'", "a text does not end"),
        (1, "source_list 'a', 'x", "a text does not end"),
        (2, "source_list 'a'\nsource_list 'a'", "there is another list `a` before it"),
        (1, "source_list 'a'\r", "the character U+000D stands in it"),
        (1, "# \u{e9}", "the character U+00E9 stands in it"),
        (1, "# -*- coding: utf-7 -*-", "a comment speaks of an encoding"),
        (1, "=begin", "`=` stands outside of a text"),
        (1, "__END__", "`__END__` stands where"),
        (1, "alert_group('')", "the name of a group, ``, does not have 1 to 50 characters"),
        (1, "alert_group {", "`{` stands where `(` should"),
    ] {
        let fault = read(text).expect_err(text);
        assert!(fault.message.contains(message), "{text}: {fault:?}");
        assert_eq!(fault.line, line, "{text}: {fault:?}");
    }
    for (from, to, message) in [
        ("URGENT", "urgent", "`urgent` stands where `URGENT`, `NORMAL` or `LOW` should"),
        ("15.minutes", "15.fortnights", "`fortnights` stands where `days`"),
        ("15.minutes", "15.minutes.system", "`.` stands where the end of the line should"),
        ("15.minutes", "-1.minutes", "`-` stands outside of a text"),
        ("15.minutes", "015.minutes", "`015` is no number"),
        ("hours_in_day(9, 10)", "hours_in_day(9, 24)", "`24` stands where a number from 0 to 23 should"),
        ("hours_in_day(9, 10)", "hours_in_day(9..10)", "`.` stands where `)` should"),
        ("split('@')", "split(' ')", "the text ` ` stands where '@' should"),
        (".split('@').first", ".split('@').map", "`map` stands where `first` should"),
        (".split('@').first", "", "`)` stands where `.` should"),
        (
            "(alert_id.split('@').first)",
            "(detail)",
            "`detail` stands where `subject`, `alert_id` or `source` should",
        ),
        ("in_source_list?('tag a')", "exit", "`exit` stands where a condition should"),
        ("in_source_list?('tag a') &&", "in_source_list?('tag a')\n&&", "`&&` stands where `}` should"),
        ("every 15.minutes\n  }", "every 15.minutes\n  exit\n  }", "`exit` stands where `}` should"),
        ("level URGENT\n", "level URGENT exit\n", "`exit` stands where the end of the line should"),
        ("level URGENT\n", "level URGENT ", "`notify` stands where the end of the line should"),
        ("notify('alice')", &format!("notify('{}')", "x".repeat(51)), "does not have 1 to 50 characters"),
    ] {
        assert!(GROUP.contains(from), "{from}");
        let fault = read(&GROUP.replacen(from, to, 1)).expect_err(to);
        assert!(fault.message.contains(message), "{to}: {fault:?}");
    }
    let fault = read(&format!("{GROUP}{GROUP}")).unwrap_err();
    assert!(fault.message.contains("there is another group `databases` before it"), "{fault:?}");
    let deep =
        GROUP.replace("working_hours?", &format!("{}working_hours?{}", "(".repeat(9999), ")".repeat(9999)));
    assert!(read(&deep).unwrap_err().message.contains("nested too deeply"));
}

proptest! {
    /// Whatever a text holds, it is one literal, and comes back as it was.
    #[test]
    fn a_text_cannot_get_out_of_its_quotes(text in "[ -~]{0,60}") {
        let group = format!(
            "alert_group('x') {{\n  includes {{ {} }}\n  level LOW\n}}\n",
            Condition::Is(Field::Subject, text.clone())
        );
        let routing = read(&group).unwrap();
        prop_assert_eq!(&routing.groups[0].includes, &Condition::Is(Field::Subject, text));
    }

    #[test]
    fn no_file_makes_it_stumble(text in "(source_list|alert_group|[ -~\n]|'|\\(|\\{|/\\\\A|\\\\z/|[0-9]){0,40}") {
        let _ = read(&text);
    }
}

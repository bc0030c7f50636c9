//! Nagios's object files, as far as something can be told from them without Nagios.

/// The names in the definitions of hosts, as they are written: what is inherited, or registered nowhere, only Nagios knows.
pub(super) fn host_names(text: &str) -> impl Iterator<Item = &str> {
    let mut in_host = false;
    text.lines().map(str::trim).filter_map(move |line| {
        if let Some(definition) = line.strip_prefix("define") {
            let kind = definition.trim_start().strip_prefix("host");
            in_host = kind.is_some_and(|rest| rest.trim_start().starts_with('{'));
            return None;
        }
        let value = line.strip_prefix("host_name").filter(|value| value.starts_with([' ', '\t']))?;
        Some(value.split(';').next()?.trim()).filter(|name| in_host && !name.is_empty())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_what_else_has_the_name_of_one() {
        let text = "# define host {\n#  host_name  no\n\
                    define host{\n\thost_name\tweb1.example.org ; the first\n\tparents  web0\n}\n\
                    define service {\n  host_name  no\n}\n\
                    define hostextinfo {\n  host_name  no\n}\n\
                    \tdefine  host  {\n  address  192.0.2.1\n  host_name  WEB2\n  host_name_of  no\n host_name\n}\n";
        assert_eq!(host_names(text).collect::<Vec<_>>(), ["web1.example.org", "WEB2"]);
    }
}

//! What a person reads.

use crate::setup::{program, run};

#[tokio::test]
async fn every_commands_help_opens_with_an_example() {
    for command in ["backup", "list", "show", "verify", "restore", "cat", "delete"] {
        let help = run(program(&[command, "--help"])).await.ok().text();
        assert!(help.starts_with(&format!("Example: strongroom {command} ")), "{help}");
    }
}

#[tokio::test]
async fn the_exit_statuses_are_a_table_in_the_help_and_in_the_readme() {
    let help = run(program(&["--help"])).await.ok().text();
    let readme = include_str!("../../../../README.md");
    for status in [0, 1, 2, 3, 4, 5, 6, 7, 8, 130] {
        assert!(
            help.lines().any(|line| line.trim_start().starts_with(&format!("{status} "))),
            "{status}: {help}"
        );
        assert!(readme.contains(&format!("| {status} |")), "{status} is not in the README");
    }
}

#[tokio::test]
async fn an_unknown_option_is_wrong_usage() {
    let outcome = run(program(&["list", "file:///tmp", "--no-such-option"])).await;
    assert_eq!(outcome.status, 2);
}

//! The program: its first line is its URL, and it serves there.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

#[tokio::test]
async fn the_program_prints_its_url_first_and_serves_there() {
    let mut program = Command::new(env!("CARGO_BIN_EXE_coordinator-sandbox"))
        .args(["--listen", "127.0.0.1:0", "--lms-token", "t"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut url = String::new();
    BufReader::new(program.stdout.take().unwrap())
        .read_line(&mut url)
        .unwrap();
    let answer = reqwest::get(format!("{}/_control/healthz", url.trim())).await;
    program.kill().unwrap();
    program.wait().unwrap();
    assert_eq!(answer.unwrap().status(), 200);
}

#[test]
fn the_program_without_a_credential_says_what_it_needs() {
    let output = Command::new(env!("CARGO_BIN_EXE_coordinator-sandbox"))
        .env_clear()
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("--lms-token")
    );
}

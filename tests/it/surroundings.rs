//! What the program takes from where it runs, and what it hands on.

use std::path::Path;

use crate::support::process::{FILE_KEY, Place, stop};

/// The processes that work in `folder` or below it: PostgreSQL works in its own.
fn processes_below(folder: &Path) -> Vec<String> {
    let folder = folder.canonicalize().unwrap();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let below = processes.filter(|process| {
        std::fs::read_link(process.path().join("cwd")).is_ok_and(|works_in| works_in.starts_with(&folder))
    });
    below.map(|process| process.file_name().to_string_lossy().into_owned()).collect()
}

#[tokio::test]
async fn the_private_postgresql_inherits_no_secret_and_no_setting_of_another_server() {
    let place = Place::new("environ");
    let (server, _) = place
        .serve_as(|command| {
            command
                .env("ACME_KEY", FILE_KEY)
                .env("BANK_TOKEN", "a-secret-of-the-bank")
                .env("PGOPTIONS", "-c jit=on");
        })
        .await;
    let processes = processes_below(&place.0.join("data"));
    assert!(!processes.is_empty());
    for process in processes {
        // one that ends meanwhile has none
        let environ = std::fs::read(format!("/proc/{process}/environ")).unwrap_or_default();
        let environ = String::from_utf8_lossy(&environ).into_owned();
        for secret in [FILE_KEY, "ACME_KEY", "BANK_TOKEN", "a-secret-of-the-bank", "PGOPTIONS", "TRIBUTARY_"]
        {
            assert!(!environ.contains(secret), "{secret} in {environ}");
        }
    }
    stop(server).await;
}

#[tokio::test]
async fn no_image_of_its_memory_is_written_when_it_crashes() {
    let place = Place::new("core");
    let (server, _) = place.serve(None).await;
    let limits = std::fs::read_to_string(format!("/proc/{}/limits", server.id().unwrap())).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap();
    assert_eq!(core.split_whitespace().collect::<Vec<_>>()[4..6], ["0", "0"], "{core}");
    stop(server).await;
}

#[tokio::test]
async fn variables_are_read_from_the_env_file_of_the_working_folder_and_of_none_above_it() {
    let place = Place::new("env_file");
    let below = place.0.join("below");
    std::fs::create_dir_all(&below).unwrap();
    std::fs::write(place.0.join(".env"), "DATABASE_URL=postgres://of-the-env-file:port/x\n").unwrap();
    let list = ["keys", "list", "--data", "no/such/place"];
    let said = |output: std::process::Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let here = said(place.command(&list).output().await.unwrap());
    assert!(here.contains("DATABASE_URL"), "{here}");
    let there = said(place.command(&list).current_dir(&below).output().await.unwrap());
    assert!(!there.contains("DATABASE_URL"), "{there}");
    // a mistake in it is told, and not what stands there
    std::fs::write(place.0.join(".env"), "SECRET=a-secret of the file\n").unwrap();
    let output = place.command(&["openapi"]).output().await.unwrap();
    assert!(!output.status.success());
    let told = said(output);
    assert!(told.contains("a line of .env") && !told.contains("a-secret"), "{told}");
}

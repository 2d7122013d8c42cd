//! What ships to run the program with.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::support::process::Place;

/// What systemd's own audit may say of the service at most, in tenths: 0 is locked in, 100 is wide open.
const EXPOSED_AT_MOST: &str = "20";

#[tokio::test]
async fn the_units_are_sound_and_the_service_is_locked_in() {
    let place = Place::new("units");
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("deploy/systemd");
    let mut units = vec![];
    for entry in std::fs::read_dir(shipped).unwrap() {
        let from = entry.unwrap().path();
        let to = place.0.join(from.file_name().unwrap());
        // where the program is installed, nothing is here
        let text = std::fs::read_to_string(&from).unwrap().replace("/usr/local/bin/tributary", "/bin/true");
        std::fs::write(&to, text).unwrap();
        units.push(to);
    }
    assert_eq!(units.len(), 3, "{units:?}");
    let service = place.0.join("tributary.service");
    let analyze = |args: &[&str], units: &[std::path::PathBuf]| {
        let output = Command::new("systemd-analyze").args(args).args(units).output().ok()?;
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        Some((output.status.success(), said))
    };
    let Some((sound, said)) = analyze(&["verify"], &units) else {
        assert!(std::env::var_os("CI").is_none(), "install systemd: the units have to be checked");
        eprintln!("NOT CHECKED: systemd-analyze is not installed");
        return;
    };
    assert!(sound && said.is_empty(), "{said}");
    let threshold = format!("--threshold={EXPOSED_AT_MOST}");
    let (locked_in, said) = analyze(&["security", "--offline=true", &threshold], &[service]).unwrap();
    assert!(locked_in, "{said}");
}

#[test]
fn every_container_of_ours_writes_nothing_gains_nothing_and_leaves_no_core() {
    let text = include_str!("../../docker-compose.yml");
    let compose: Value = serde_saphyr::from_str(text).unwrap();
    let services = compose["services"].as_object().unwrap();
    let ours: Vec<_> = services.iter().filter(|(name, _)| *name != "db").collect();
    assert_eq!(ours.len(), 5, "{:?}", services.keys());
    for (name, service) in ours {
        assert_eq!(service["read_only"], true, "{name}");
        assert_eq!(service["cap_drop"][0], "ALL", "{name}");
        assert_eq!(service["user"], "10001:10001", "{name}");
        assert_eq!(service["security_opt"][0], "no-new-privileges:true", "{name}");
        assert_eq!(service["ulimits"]["core"], 0, "{name}");
        assert!(service["ulimits"]["nofile"].as_u64() >= Some(1024), "{name}");
        for port in service["ports"].as_array().into_iter().flatten() {
            assert!(port.as_str().unwrap().starts_with("127.0.0.1:"), "{name}: {port}");
        }
    }
}

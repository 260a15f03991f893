//! `baton drain`: no new calls, until the last one has gone.

use std::time::Duration;

use baton_contract::DrainView;
use serde_json::json;

use super::daemon::{Daemon, Trouble};
use super::words::count_of_calls;

/// How often the daemon is asked whether calls are left.
const LOOK_EVERY: Duration = Duration::from_millis(500);

/// `baton drain [--wait | --off]`
pub(crate) fn drain(daemon: &Daemon, json: bool, wait: bool, off: bool) -> Result<String, Trouble> {
    let mut told = if off { daemon.delete("/v1/drain")? } else { daemon.post::<DrainView>("/v1/drain", &json!({}))? };
    while wait && told.view.calls > 0 {
        pause();
        told = daemon.get::<DrainView>("/v1/drain")?;
        if !told.view.draining {
            break;
        }
    }
    Ok(if json { told.json } else { sentence(told.view) })
}

#[expect(clippy::disallowed_methods, reason = "another process empties itself; it is asked again after a while")]
fn pause() {
    std::thread::sleep(LOOK_EVERY);
}

fn sentence(view: DrainView) -> String {
    let calls = count_of_calls(view.calls);
    let verb = if view.calls > 1 { "are" } else { "is" };
    if view.draining {
        format!("New calls are refused; {calls} {verb} left.")
    } else {
        format!("New calls are taken; {calls} {verb} there.")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_is_told() {
        let told = |draining, calls| sentence(DrainView { draining, calls });
        assert_eq!(told(true, 3), "New calls are refused; 3 calls are left.");
        assert_eq!(told(true, 0), "New calls are refused; no call is left.");
        assert_eq!(told(false, 1), "New calls are taken; 1 call is there.");
    }
}

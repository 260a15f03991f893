//! Which threads come before others, where the system allows it: a caller waits for what they do.

/// What the engine and the store's threads have; media threads come before them.
pub(crate) const LIVE: i32 = -8;

/// Gives this thread a precedence, by its nice value, and says which one it had. Threads that it starts have the same.
pub(crate) fn set(nice: i32) -> i32 {
    let before = rustix::process::getpriority_process(None).unwrap_or_default();
    if let Err(error) = rustix::process::setpriority_process(None, nice) {
        tracing::debug!(%error, nice, "a thread has no precedence over others");
    }
    before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_steps_back_says_where_it_was() {
        let last = std::thread::spawn(|| {
            let first = set(11);
            (first, set(12), set(19))
        });
        let (first, second, third) = last.join().unwrap();
        assert_eq!((second, third), (11, 12));
        assert!(first < 11);
    }
}

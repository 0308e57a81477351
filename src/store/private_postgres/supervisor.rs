//! Restarts a server that is gone while we use it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use super::address::Address;
use super::cluster::Cluster;
use super::{StartError, lock};

const CHECK_EVERY: Duration = Duration::from_millis(500);
const SHORTEST_PAUSE: Duration = Duration::from_secs(1);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// A server that ran this long had not died of its start.
const STEADY_AFTER: Duration = Duration::from_secs(30);

/// The task that watches; ends when stopped or dropped.
#[derive(Debug)]
pub(super) struct Supervisor {
    leave: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Supervisor {
    /// Watches over the server at `address`, where the pools of this process look for it.
    pub(super) fn watch(cluster: Arc<Cluster>, address: Address) -> Self {
        let (leave, left) = oneshot::channel();
        let task = tokio::spawn(async move {
            // Every step may be abandoned: locks go with their files, and a server that was just
            // spawned is found by whoever comes next.
            tokio::select! {
                _ = left => {}
                () = restart_forever(&cluster, &address) => {}
            }
        });
        Self { leave, task }
    }

    /// Returns when the task no longer touches the server.
    pub(super) async fn stop(self) {
        drop(self.leave);
        // Fails only if the task panicked or was cancelled, and then it has ended as well.
        let _ = self.task.await;
    }
}

async fn restart_forever(cluster: &Cluster, address: &Address) {
    let mut back_off = BackOff::default();
    loop {
        sleep(CHECK_EVERY).await;
        if cluster.is_up(address) {
            continue;
        }
        let directory = cluster.layout.directory().display();
        tracing::warn!(%directory, "the private database server is gone; restarting it");
        sleep(back_off.pause(Instant::now())).await;
        match restart(cluster, address).await {
            Ok(()) => tracing::info!(port = address.port, "the private database server is up again"),
            Err(error) => tracing::error!(%error, "cannot restart the private database server; trying again"),
        }
        back_off.attempted(Instant::now());
    }
}

/// Several processes may get here; the first restarts, the others find the server up.
async fn restart(cluster: &Cluster, address: &Address) -> Result<(), StartError> {
    let path = cluster.layout.start_lock();
    let _start_lock = lock::exclusive(&path).await.map_err(StartError::unwritable(&path))?;
    cluster.ensure_running(Some(address)).await.map(drop)
}

/// No pause before the first attempt, then 1 s, 2 s, 4 s .. 30 s, until the server runs steadily.
#[derive(Debug, Default)]
struct BackOff {
    latest: Option<(Instant, Duration)>,
}

impl BackOff {
    /// How long to wait before the attempt that becomes necessary `now`.
    fn pause(&mut self, now: Instant) -> Duration {
        // Between failing attempts there is only the pause and one check.
        self.latest = self.latest.filter(|(attempted, _)| now - *attempted < STEADY_AFTER);
        self.latest.map_or(Duration::ZERO, |(_, pause)| pause)
    }

    fn attempted(&mut self, now: Instant) {
        let pause = self.latest.map_or(SHORTEST_PAUSE, |(_, pause)| (pause * 2).min(LONGEST_PAUSE));
        self.latest = Some((now, pause));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_the_server_runs_steadily() {
        let mut back_off = BackOff::default();
        let mut now = Instant::now();
        let mut pauses = Vec::new();
        for _ in 0..8 {
            let pause = back_off.pause(now);
            pauses.push(pause.as_secs());
            now += pause;
            back_off.attempted(now);
            now += CHECK_EVERY;
        }
        assert_eq!(pauses, [0, 1, 2, 4, 8, 16, 30, 30]);
        assert_eq!(back_off.pause(now + STEADY_AFTER), Duration::ZERO);
    }
}

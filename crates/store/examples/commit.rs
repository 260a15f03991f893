//! Measures how long commits take: `cargo run --release -p baton-store --example commit`.
//!
//! A transfer's step every 10 ms (two journal rows and a lease at process level), once alone and once with an
//! audit line at power level behind each; then power-level promises alone.

use std::time::Duration;

use baton_contract::{AeId, At, CallId, CommitLevel, Event, EventKind, IdSource, LeaseRow, Record, TransferId};
use baton_store::{Ack, Batch, Settings, Store, WhenLate};
use baton_time::Wall;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::{MissedTickBehavior, interval};

const STEPS: u64 = 1_000;
const EVERY: Duration = Duration::from_millis(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let folder = std::env::args().nth(1).unwrap_or_else(|| std::env::temp_dir().display().to_string());
    let path = format!("{folder}/baton-commit-{}.db", std::process::id());
    let (ring, mut acks) = channel(10_000);
    let on_ack = Box::new(move |ack| ring.try_send(ack).expect("each ack is taken before the next step"));
    let store = Store::open(&format!("sqlite:{path}"), Settings::default(), on_ack).await?;
    println!("{:<34}{:>10}{:>10}{:>10}", "", "p50 µs", "p99 µs", "max µs");
    run(&store, &mut acks, "process, alone", true, false).await?;
    run(&store, &mut acks, "process, audit behind each", true, true).await?;
    run(&store, &mut acks, "power, alone", false, true).await?;
    println!("{:?}", store.health());
    store.close().await;
    for suffix in ["", "-wal", "-shm"] {
        std::fs::remove_file(format!("{path}{suffix}")).ok();
    }
    Ok(())
}

async fn run(
    store: &Store,
    acks: &mut Receiver<Ack>,
    name: &str,
    process: bool,
    power: bool,
) -> Result<(), Box<dyn std::error::Error>> {
    let mut ids = IdSource::seeded(1);
    let mut clock = interval(EVERY);
    clock.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut took = Vec::new();
    let first = store.last_event_seq().await? + 1;
    let epoch = store.epochs().await?.first().map_or(1, |(_, epoch)| epoch + 1);
    for step in 0..STEPS {
        clock.tick().await;
        let now = Wall::from_micros(i64::try_from(step)?);
        if process {
            let records = transfer_step(&mut ids, now, epoch + step);
            store.submit(Batch { ticket: step, level: CommitLevel::Process, when_late: WhenLate::Refuse, records })?;
        }
        if power {
            let records = vec![audit(first + step, now)];
            store.submit(Batch { ticket: step, level: CommitLevel::Power, when_late: WhenLate::Refuse, records })?;
        }
        let measured = if process { CommitLevel::Process } else { CommitLevel::Power };
        for _ in 0..u8::from(process) + u8::from(power) {
            let ack = acks.recv().await.ok_or("the store has gone")?;
            ack.result?;
            if ack.level == measured {
                took.push(ack.took.as_micros());
            }
        }
    }
    took.sort_unstable();
    let at = |share: usize| took[(took.len() - 1) * share / 100];
    println!("{name:<34}{:>10}{:>10}{:>10}", at(50), at(99), at(100));
    Ok(())
}

fn transfer_step(ids: &mut IdSource, now: Wall, epoch: u64) -> Vec<Record> {
    let (call, transfer) = (CallId::new(ids, now), TransferId::new(ids, now));
    let lease = LeaseRow { ae: AeId::from("michael"), transfer, epoch, until: At(now) };
    vec![
        Record::Journal { call, seq: 1, kind: "transfer".to_owned(), version: 1, bytes: vec![7; 900] },
        Record::Journal { call, seq: 2, kind: "attempt".to_owned(), version: 1, bytes: vec![7; 400] },
        Record::Lease(lease),
    ]
}

fn audit(seq: u64, now: Wall) -> Record {
    Record::Audit(Box::new(Event {
        id: format!("e{seq}"),
        seq,
        at: At(now),
        kind: EventKind::Ringing,
        call: None,
        transfer: None,
        data: Default::default(),
    }))
}

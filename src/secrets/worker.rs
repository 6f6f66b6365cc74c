//! Blocking keyring calls on a thread of their own, with a deadline.
//!
//! A call can block for ever: a stopped service, a prompt that nobody answers. There is no timeout
//! below, and a thread cannot be ended from outside, so a thread that is late is left behind and
//! the next call gets a new one.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use tokio::sync::{Mutex, oneshot};

use super::entries::Entries;
use crate::ports::SinkError;

/// Threads that may be stuck at one time. One more try than one: a service that was restarted
/// deserves it; beyond that everybody is answered at once.
const STUCK_MAX: usize = 2;

type Job = Box<dyn FnOnce(&mut Entries) + Send>;

pub(super) struct Worker {
    deadline: Duration,
    /// To the thread that works; `None` before the first call and after one was left behind. Held
    /// for a whole call, so that the deadline counts the call and not the queue before it.
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    stuck: Arc<AtomicUsize>,
    note: Option<PathBuf>,
}

impl Worker {
    pub(super) fn new(deadline: Duration) -> Worker {
        Worker { deadline, jobs: Mutex::new(None), stuck: Arc::default(), note: None }
    }

    /// As [`Entries::with_note`].
    pub(super) fn with_note(self, note: Option<PathBuf>) -> Worker {
        Worker { note, ..self }
    }

    /// Runs `call` on the thread. `Hanging` when it takes longer than the deadline; what it does
    /// after that is lost.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        call: impl FnOnce(&mut Entries) -> Result<T, SinkError> + Send + 'static,
    ) -> Result<T, SinkError> {
        let mut jobs = self.jobs.lock().await;
        if self.stuck.load(Ordering::Relaxed) >= STUCK_MAX {
            return Err(SinkError::Hanging { sink: "keyring", deadline: self.deadline });
        }
        let thread = match &mut *jobs {
            Some(thread) => thread,
            none => none.insert(start(Arc::clone(&self.stuck), self.note.clone())?),
        };
        let (reply, answer) = oneshot::channel();
        // Nobody listens any more when the deadline has passed: the result has no other place to
        // go.
        let job: Job = Box::new(move |entries| drop(reply.send(call(entries))));
        let ended =
            || SinkError::Failed("its thread ended unexpectedly; run the command again".into());
        if thread.send(job).is_err() {
            *jobs = None;
            return Err(ended());
        }
        match tokio::time::timeout(self.deadline, answer).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => {
                *jobs = None;
                Err(ended())
            }
            Err(_) => {
                // Without its sender the thread ends as soon as it comes back, and then counts as
                // stuck no more.
                self.stuck.fetch_add(1, Ordering::Relaxed);
                *jobs = None;
                Err(SinkError::Hanging { sink: "keyring", deadline: self.deadline })
            }
        }
    }
}

fn start(stuck: Arc<AtomicUsize>, note: Option<PathBuf>) -> Result<mpsc::Sender<Job>, SinkError> {
    let (sender, jobs) = mpsc::channel::<Job>();
    let work = move || {
        let mut entries = Entries::with_note(note);
        while let Ok(job) = jobs.recv() {
            job(&mut entries);
        }
        // Only a thread that was left behind gets here while its worker lives and the count
        // matters.
        stuck.fetch_sub(1, Ordering::Relaxed);
    };
    let thread = thread::Builder::new().name("keyring".into()).spawn(work);
    thread.map(|_| sender).map_err(|e| SinkError::Failed(format!("no thread for it: {}", e.kind())))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEADLINE: Duration = Duration::from_millis(50);

    #[tokio::test]
    async fn a_call_that_never_returns_is_left_behind_and_its_followers_are_answered_at_once() {
        let worker = Worker::new(DEADLINE);
        let (release, wait) = mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        for _ in 0..STUCK_MAX {
            let wait = Arc::clone(&wait);
            let late =
                worker.run(move |_| Ok(wait.lock().is_ok_and(|wait| wait.recv().is_ok()))).await;
            assert_eq!(late, Err(SinkError::Hanging { sink: "keyring", deadline: DEADLINE }));
        }
        assert_eq!(
            worker.run(|_| Ok(())).await,
            Err(SinkError::Hanging { sink: "keyring", deadline: DEADLINE }),
            "no third thread"
        );

        drop(release);
        for _ in 0..100 {
            if worker.run(|_| Ok(())).await.is_ok() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("the threads came back, and still nobody is served");
    }

    #[tokio::test]
    async fn waiting_in_the_queue_does_not_count() {
        let worker = Arc::new(Worker::new(Duration::from_millis(400)));
        let calls: Vec<_> = (0..10)
            .map(|_| {
                let worker = Arc::clone(&worker);
                tokio::spawn(async move {
                    let nap = |_: &mut Entries| {
                        thread::sleep(Duration::from_millis(60));
                        Ok(())
                    };
                    worker.run(nap).await
                })
            })
            .collect();
        for call in calls {
            assert_eq!(call.await.ok(), Some(Ok(())));
        }
    }
}

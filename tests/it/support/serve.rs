//! A server on loopback, in a thread of its own.

/// Ends when it is dropped.
pub struct Served {
    pub url: String,
    #[expect(dead_code, reason = "held: the thread ends when it is gone")]
    thread: tokio::sync::oneshot::Sender<()>,
}

pub fn serve(app: axum::Router) -> Served {
    let (sender, receiver) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
            let (thread, gone) = tokio::sync::oneshot::channel();
            let url = format!("http://{}", listener.local_addr().expect("an address"));
            sender.send(Served { url, thread }).expect("somebody waits");
            tokio::select! { _ = axum::serve(listener, app) => (), _ = gone => () }
        });
    });
    receiver.recv().expect("it starts")
}

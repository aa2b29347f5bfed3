//! A host of ABI 1.0: loads the plugin that its first argument names, and does what the lines of its standard input
//! say, each with a line of JSON as answer.
//!
//! `describe` · `start SETTINGS` · `handle INDEX PAYLOAD` · `route INDEX BODY` · `health` · `stop` · `op CODE`

mod port;

use std::io::BufRead as _;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::Thread;

use coordinator_abi::call::{HandleMeta, ResponseMeta, RouteMeta};
use coordinator_abi::code::op;
use coordinator_abi::header::{MAGIC, SYMBOL};
use coordinator_abi::plugin::describe;
use coordinator_abi::{
    ABI_MAJOR, ABI_MINOR, Code, Instance, Outcome, PluginHeader, RawFuture, SharedBytes,
};
use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
use port::Port;
use serde_json::{Value, json};

fn main() {
    let path = std::env::args_os().nth(1).expect("the path of a plugin");
    // SAFETY: the tests give a plugin that they have built.
    let library =
        unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.expect("it is a library");
    // SAFETY: a plugin exports a header, and what was mapped stays mapped.
    let header: &'static PluginHeader = unsafe {
        let symbol = library
            .get::<*const PluginHeader>(SYMBOL)
            .expect("it is a plugin");
        &*symbol.into_raw().cast::<PluginHeader>()
    };
    std::mem::forget(library);
    assert_eq!(header.magic, MAGIC);
    assert_eq!(header.abi_major, ABI_MAJOR);
    let table = match header.table() {
        Ok(table) => table,
        Err(report) => {
            println!("{}", json!({ "refused": report.to_string() }));
            return;
        }
    };
    let host = format!("{ABI_MAJOR}.{ABI_MINOR}");
    let plugin = format!("{}.{}", header.abi_major, header.abi_minor);
    println!("{}", json!({ "host": host, "plugin": plugin }));
    let instance: Instance<Port> = Instance::open(table);
    let port = Arc::new(Port::default());
    for line in std::io::stdin().lock().lines() {
        let line = line.expect("it is text");
        let mut words = line.splitn(3, ' ');
        let [verb, second, third] = std::array::from_fn(|_| words.next().unwrap_or_default());
        let answer = match verb {
            "describe" => {
                let manifest = describe(table).expect("it describes itself");
                serde_json::from_slice(&manifest).expect("it is JSON")
            }
            "start" => shown(&call(
                &instance,
                &port,
                op::START,
                0,
                SharedBytes::new(),
                second,
            )),
            "handle" => {
                let meta = HandleMeta {
                    id: "0190-m".to_owned(),
                    attempt: 1,
                    ..HandleMeta::default()
                };
                shown(&call(
                    &instance,
                    &port,
                    op::HANDLE,
                    number(second),
                    meta.encode(),
                    third,
                ))
            }
            "route" => {
                let meta = RouteMeta {
                    method: "POST".to_owned(),
                    webhook_id: "hook-1".to_owned(),
                    ..RouteMeta::default()
                };
                let answer = call(
                    &instance,
                    &port,
                    op::ROUTE,
                    number(second),
                    meta.encode(),
                    third,
                );
                let mut shown = shown(&answer);
                if answer.is_ok() {
                    shown["status"] = ResponseMeta::decode(&answer.meta)
                        .expect("a head")
                        .status
                        .into();
                }
                shown
            }
            "health" => shown(&call(
                &instance,
                &port,
                op::HEALTH,
                0,
                SharedBytes::new(),
                "",
            )),
            "stop" => shown(&call(&instance, &port, op::STOP, 0, SharedBytes::new(), "")),
            "op" => shown(&call(
                &instance,
                &port,
                Code(number(second)),
                0,
                SharedBytes::new(),
                "",
            )),
            other => panic!("`{other}` is nothing to do"),
        };
        let mut answer = answer;
        answer["published"] = port.take().into();
        println!("{answer}");
    }
}

fn call(
    instance: &Instance<Port>,
    port: &Arc<Port>,
    op: Code,
    index: u32,
    meta: SharedBytes,
    body: &str,
) -> Outcome {
    wait(instance.call(op, index, Arc::clone(port), meta, body.to_owned().into()))
}

fn number(word: &str) -> u32 {
    word.parse().expect("a number")
}

fn shown(answer: &Outcome) -> Value {
    let meta = String::from_utf8_lossy(&answer.meta).into_owned();
    let body = String::from_utf8_lossy(&answer.body).into_owned();
    json!({ "code": answer.code.0, "meta": meta, "body": body })
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

fn wait(future: RawFuture) -> Outcome {
    let waker = Waker::from(Arc::new(Unpark(std::thread::current())));
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(outcome) => return outcome,
            Poll::Pending => std::thread::park(),
        }
    }
}

//! The locks of Terraform's `http` backend, by requests of our own.
//!
//! Terraform's force-unlock sends an empty body up to 1.15, so a strict server refuses it even
//! with the right ID, and a lax one unlocks whatever is locked. And from 1.3 to 1.14 Terraform
//! shows the caller's own lock instead of the holder's.

mod by_hand;
mod exchange;
mod headers;

use std::cell::RefCell;
use std::future;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::{Method, StatusCode};
use uuid::Uuid;

use super::backend::Backend;
use super::operations::OF_A_LOOK_BY_REQUESTS;
use super::written::Written;
use crate::environment::Environment;
use crate::lock::LockInfo;
use crate::tools::error::ToolError;
use crate::tools::host::Host;
use crate::tools::locking::{self, End, Guarantee, Locked, Look, Reply};
use by_hand::ByHand;
use exchange::{Connection, Message, Silence, setting, without_secrets};

/// How long one request may take.
const LIMIT_OF_A_REQUEST: Duration = Duration::from_secs(4);
/// How long the answer is waited for by which a look learns that it has given the lock back.
const LIMIT_OF_GIVING_BACK: Duration = Duration::from_secs(10);
/// How often a look asks for the lock: once more where it had no answer, and once more where what had
/// none may have been carried out since.
const TRIES: u32 = 3;
/// How many of these may have no answer.
const MOST_LOST: usize = 2;

/// The lock of one `http` backend.
pub(crate) struct HttpLock<'a, H> {
    host: &'a H,
    connection: Connection,
    lock: Endpoint,
    unlock: Endpoint,
    signature: String,
    by_hand: ByHand,
    /// What looks have asked for and had no answer to: it may have been carried out, or may be yet.
    lost: RefCell<Vec<LockInfo>>,
}

struct Endpoint {
    address: String,
    method: Method,
}

/// What became of a LOCK request.
enum Attempt {
    Taken,
    Held(LockInfo),
    HeldBySomebody,
    Refused(StatusCode),
}

impl<'a, H: Host> HttpLock<'a, H> {
    /// The lock that the settings, or else the variables of the environment, name; none where
    /// they name no address for locking.
    pub(super) fn open(
        host: &'a H,
        backend: &Backend,
        signature: String,
        environment: &Environment,
    ) -> Result<Option<Self>, ToolError> {
        let setting = |name, variable| setting(backend, environment, name, variable);
        let Some(lock_address) = setting("lock_address", "TF_HTTP_LOCK_ADDRESS") else {
            return Ok(None);
        };
        let Some(unlock_address) = setting("unlock_address", "TF_HTTP_UNLOCK_ADDRESS") else {
            return Err(refused(
                &lock_address,
                "no unlock_address is configured, so what is locked there stays locked",
            ));
        };
        let lock_method = setting("lock_method", "TF_HTTP_LOCK_METHOD");
        let unlock_method = setting("unlock_method", "TF_HTTP_UNLOCK_METHOD");
        let username = setting("username", "TF_HTTP_USERNAME");
        let password = setting("password", "TF_HTTP_PASSWORD");
        let credentials = username.map(|username| (username, password.unwrap_or_default()));
        Ok(Some(Self {
            host,
            connection: Connection::open(backend, environment, credentials)
                .map_err(|reason| refused(&lock_address, &reason))?,
            lock: Endpoint::new(lock_address, lock_method.as_deref().unwrap_or("LOCK"))?,
            unlock: Endpoint::new(unlock_address, unlock_method.as_deref().unwrap_or("UNLOCK"))?,
            signature,
            by_hand: ByHand::of(backend, environment),
            lost: RefCell::default(),
        }))
    }

    /// The holder, where the address of the lock tells it to whoever reads it. Often the state is
    /// there, so any other answer says nothing.
    async fn read(&self) -> Result<Option<LockInfo>, ToolError> {
        let message = Message {
            method: &Method::GET,
            address: &self.lock.address,
            body: None,
        };
        match self
            .connection
            .send(self.host, message, LIMIT_OF_A_REQUEST)
            .await
        {
            Ok((status, body)) if status.is_success() => Ok(complete_lock(&body)),
            Ok(_) | Err(Silence::NotSent(_)) => Ok(None),
            // Where reading hangs, a lock that is taken might not be given back.
            Err(Silence::Lost(reason)) => Err(refused(&self.lock.address, &reason)),
        }
    }

    fn question(&self) -> LockInfo {
        let written = Written {
            id: Uuid::new_v4().to_string(),
            operation: OF_A_LOOK_BY_REQUESTS.to_owned(),
            who: self.signature.clone(),
            version: concat!("softstop ", env!("CARGO_PKG_VERSION")).to_owned(),
            created: Some(Timestamp::now()),
            ..Written::default()
        };
        written.into()
    }

    async fn take(&self, own: &LockInfo) -> Result<Attempt, Silence> {
        let (status, body) = self.send(&self.lock, own, LIMIT_OF_A_REQUEST).await?;
        Ok(match status {
            status if status.is_success() => Attempt::Taken,
            StatusCode::LOCKED | StatusCode::CONFLICT => match Written::read(&body) {
                Some(holder) if !holder.id.is_empty() => Attempt::Held(holder),
                _ => Attempt::HeldBySomebody,
            },
            // It may have kept the lock before it failed.
            status if status.is_server_error() && status != StatusCode::NOT_IMPLEMENTED => {
                return Err(lost(status));
            }
            status => Attempt::Refused(status),
        })
    }

    /// Gives back what a look has taken. It is never asked for twice: the server may carry out the
    /// first request later, and a lax one then frees whoever holds the lock by then.
    async fn give_back(&self, own: &LockInfo) -> Result<(), ToolError> {
        let answer = self.send(&self.unlock, own, LIMIT_OF_GIVING_BACK);
        let reason = match answer.await {
            Ok((status, _)) if status.is_success() => return Ok(()),
            Ok((status, _)) => format!("it answered with {status}"),
            Err(silence) => silence.reason(),
        };
        Err(self.not_given_back(own, reason))
    }

    fn not_given_back(&self, lock: &LockInfo, reason: String) -> ToolError {
        ToolError::NotGivenBack {
            address: without_secrets(&self.unlock.address),
            id: lock.id.clone(),
            reason,
            by_hand: self.request_by_hand(lock),
        }
    }

    /// The request by which a person releases the lock.
    fn request_by_hand(&self, lock: &LockInfo) -> String {
        let Endpoint { address, method } = &self.unlock;
        self.by_hand.request(method, address, &lock.id)
    }

    /// Why a look knows nothing, and what to do about locks that it may have left.
    fn perhaps_taken(&self, lost: &[LockInfo], reason: String) -> ToolError {
        let ids: Vec<&str> = lost.iter().map(|own| own.id.as_str()).collect();
        let commands = lost.iter().map(|own| self.request_by_hand(own));
        let commands: Vec<String> = commands.collect();
        ToolError::PerhapsTaken {
            address: without_secrets(&self.lock.address),
            reason,
            ids: ids.join(" or "),
            by_hand: commands.join("; "),
        }
    }

    /// What a look has asked for without an answer, where it is this.
    fn take_from_lost(&self, holder: &LockInfo) -> Option<LockInfo> {
        let mut lost = self.lost.borrow_mut();
        let index = lost.iter().position(|own| own.id == holder.id)?;
        Some(lost.swap_remove(index))
    }

    /// Waits until what had no answer is carried out, if it ever is.
    async fn wait_for_what_was_lost(&self) {
        let wait = future::pending::<()>();
        self.host.limited(LIMIT_OF_A_REQUEST, wait).await;
    }

    /// Learns by taking the lock whether it is free, and leaves none of what was `lost` there.
    async fn take_and_give_back(&self, lost: &mut Vec<LockInfo>) -> Result<Look, ToolError> {
        let (mut problem, mut has_waited) = (String::new(), false);
        for _ in 0..TRIES {
            // A name of its own for each, because a server may answer with the very request.
            let own = self.question();
            match self.take(&own).await {
                Ok(Attempt::Taken) => {
                    self.give_back(&own).await?;
                    if lost.is_empty() || has_waited {
                        lost.clear();
                        return Ok(Look::Free);
                    }
                    self.wait_for_what_was_lost().await;
                    has_waited = true;
                }
                Ok(Attempt::Held(holder)) if holder.id != own.id => {
                    let Some(index) = lost.iter().position(|earlier| earlier.id == holder.id)
                    else {
                        return Ok(Look::Held(holder));
                    };
                    self.give_back(&lost.swap_remove(index)).await?;
                    if lost.is_empty() {
                        return Ok(Look::Free);
                    }
                }
                Ok(Attempt::Held(_) | Attempt::HeldBySomebody) if lost.is_empty() => {
                    return Ok(Look::HeldBySomebody);
                }
                // This may be ourselves.
                Ok(Attempt::Held(_) | Attempt::HeldBySomebody) => break,
                Ok(Attempt::Refused(status)) => {
                    problem = format!("it answered a {} with {status}", self.lock.method);
                    break;
                }
                Err(Silence::NotSent(reason)) => {
                    problem = reason;
                    break;
                }
                Err(Silence::Lost(reason)) => {
                    problem = reason;
                    lost.push(own);
                    if lost.len() >= MOST_LOST {
                        break;
                    }
                }
            }
        }
        Err(if lost.is_empty() {
            refused(&self.lock.address, &problem)
        } else {
            self.perhaps_taken(lost, problem)
        })
    }

    async fn send(
        &self,
        endpoint: &Endpoint,
        lock: &LockInfo,
        limit: Duration,
    ) -> Result<(StatusCode, String), Silence> {
        let body = serde_json::to_string(&Written::from(lock)).unwrap_or_default();
        let message = Message {
            method: &endpoint.method,
            address: &endpoint.address,
            body: Some(&body),
        };
        let answer = self.connection.send(self.host, message, limit).await;
        match answer {
            // A gateway says so too of a request that it has passed on.
            Ok((status, _)) if is_of_a_gateway(status) => Err(lost(status)),
            answer => answer,
        }
    }
}

impl<H: Host> Locked for HttpLock<'_, H> {
    /// Asks who holds the lock. Where the server does not tell, the lock is taken, and given back at
    /// once: the protocol has no other way to ask.
    async fn look(&self) -> Result<Look, ToolError> {
        if let Some(holder) = self.read().await? {
            let Some(own) = self.take_from_lost(&holder) else {
                return Ok(Look::Held(holder));
            };
            self.give_back(&own).await?;
        }
        if self.host.is_in_vain() {
            return Err(ToolError::InVain);
        }
        let mut lost = self.lost.take();
        let look = self.take_and_give_back(&mut lost).await;
        self.lost.replace(lost);
        look
    }

    /// Unlocks `lock`, naming it, so that a server that compares can refuse.
    async fn release(&self, lock: &LockInfo) -> Result<Reply, ToolError> {
        let answer = self.send(&self.unlock, lock, LIMIT_OF_GIVING_BACK);
        match answer.await {
            Ok((status, _)) if status.is_success() => Ok(Reply::Released),
            Ok((status, _)) => Ok(Reply::Changed(format!(
                "The {} of {} at {} did not release the lock. It said: {status}",
                self.unlock.method,
                lock.id,
                without_secrets(&self.unlock.address)
            ))),
            Err(Silence::NotSent(reason)) => {
                let unsent = refused(&self.unlock.address, &reason);
                Ok(Reply::Changed(unsent.to_string()))
            }
            Err(Silence::Lost(reason)) => Ok(Reply::Unclear(self.not_given_back(lock, reason))),
        }
    }

    /// The server decides whether it compares.
    fn end(&self) -> End {
        End::Release(Guarantee::Blind)
    }

    fn release_by_hand(&self, lock: &LockInfo) -> locking::ByHand {
        locking::ByHand::Paste(self.request_by_hand(lock))
    }

    fn unnamed_by_hand(&self) -> locking::ByHand {
        locking::ByHand::Unknown
    }
}

impl Endpoint {
    fn new(address: String, method: &str) -> Result<Self, ToolError> {
        match Method::from_bytes(method.as_bytes()) {
            Ok(method) => Ok(Self { address, method }),
            Err(_) => Err(refused(&address, &format!("{method:?} is no HTTP method"))),
        }
    }
}

fn is_of_a_gateway(status: StatusCode) -> bool {
    matches!(
        status,
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT
    )
}

fn lost(status: StatusCode) -> Silence {
    Silence::Lost(format!("it answered with {status}"))
}

/// A lock that says all that a lock of Terraform's says; a state has none of it.
fn complete_lock(body: &str) -> Option<LockInfo> {
    let lock = Written::read(body)?;
    let is_complete = [&lock.id, &lock.who, &lock.operation]
        .iter()
        .all(|text| !text.is_empty());
    (is_complete && lock.created.is_some()).then_some(lock)
}

fn refused(address: &str, reason: &str) -> ToolError {
    ToolError::LockServer {
        address: without_secrets(address),
        reason: reason.to_owned(),
    }
}

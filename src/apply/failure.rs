//! Why a step was not done, as data: what people read, and what the API said.

use crate::ports::{ApiError, ApiErrorKind};

/// Why a step failed, or why nobody knows whether it was done.
#[derive(Clone, Debug)]
pub struct StepError {
    /// The whole reason in one line.
    pub message: String,
    /// What a person can do about it.
    pub help: Option<String>,
    /// The request that it comes from, where one was made.
    pub request: Option<Box<FailedRequest>>,
}

/// A request that did not end well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FailedRequest {
    pub method: &'static str,
    /// Path and query, without host.
    pub path: String,
    /// Of the answer, where one came that makes sense.
    pub status: Option<u16>,
    /// The API's own name of the error.
    pub code: Option<String>,
    /// The API's own words.
    pub messages: Vec<String>,
    /// Times it was sent or tried to be sent.
    pub tries: u32,
    /// Whether the same may go well another time.
    pub retryable: bool,
}

impl StepError {
    pub fn new(message: impl Into<String>) -> StepError {
        StepError { message: message.into(), help: None, request: None }
    }
    pub fn help(self, help: impl Into<String>) -> StepError {
        StepError { help: Some(help.into()), ..self }
    }
    /// The same, and what came after it.
    pub fn and(self, more: impl std::fmt::Display) -> StepError {
        StepError { message: format!("{}; {more}", self.message), ..self }
    }
}

impl From<&ApiError> for StepError {
    fn from(error: &ApiError) -> StepError {
        StepError {
            message: error.to_string(),
            help: error.help(),
            request: Some(Box::new(FailedRequest::from(error))),
        }
    }
}
impl From<ApiError> for StepError {
    fn from(error: ApiError) -> StepError {
        StepError::from(&error)
    }
}
impl From<&ApiError> for FailedRequest {
    fn from(error: &ApiError) -> FailedRequest {
        let (status, code, messages) = match &error.kind {
            ApiErrorKind::Status { status, error, messages, retry_after: _ } => {
                let code = Some(error.clone()).filter(|code| !code.is_empty());
                (Some(*status), code, messages.clone())
            }
            ApiErrorKind::NotSent(_)
            | ApiErrorKind::NoAnswer(_)
            | ApiErrorKind::TooLarge { .. }
            | ApiErrorKind::BadAnswer(_)
            | ApiErrorKind::Inconsistent(_)
            | ApiErrorKind::NotDone(_) => (None, None, Vec::new()),
        };
        FailedRequest {
            method: error.method,
            path: error.path.clone(),
            status,
            code,
            messages,
            tries: error.tries,
            retryable: error.kind.is_passing(),
        }
    }
}
impl From<String> for StepError {
    fn from(message: String) -> StepError {
        StepError::new(message)
    }
}
impl From<&str> for StepError {
    fn from(message: &str) -> StepError {
        StepError::new(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_api_said_is_kept_beside_the_words_for_people() {
        let error = StepError::from(ApiError {
            method: "PATCH",
            path: "/v2/keysets/7".to_owned(),
            tries: 3,
            kind: ApiErrorKind::Status {
                status: 503,
                error: "Unavailable".to_owned(),
                messages: vec!["a".to_owned(), "b".to_owned()],
                retry_after: None,
            },
        });
        let error = error.and("interrupted");
        let told = "PATCH /v2/keysets/7: 503 Unavailable: a; b (after 3 tries); interrupted";
        assert_eq!(error.message, told);
        let request = error.request.expect("it is kept");
        assert_eq!((request.status, request.code.as_deref()), (Some(503), Some("Unavailable")));
        assert_eq!((request.tries, request.retryable), (3, true));
        assert_eq!(request.messages, ["a", "b"]);
    }
}

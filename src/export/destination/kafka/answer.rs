//! What the brokers said about each event, sorted into the classes that the pipeline knows.

use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

use super::super::{Delivery, EventFailure, FailedEvent, SendError};

/// What became of one event.
pub(super) type Report = Result<(), KafkaError>;

/// Sorts the reports of a batch, in its order. `trouble`: what the connection to the brokers last complained of.
///
/// # Errors
/// [`SendError`]: nothing arrived, and why.
pub(super) fn sort(reports: &[Report], trouble: Option<&Trouble>) -> Result<Delivery, SendError> {
    let failures: Vec<(usize, &KafkaError)> =
        reports.iter().enumerate().filter_map(|(position, report)| Some((position, report.as_ref().err()?))).collect();
    let codes = || failures.iter().filter_map(|(_, error)| error.rdkafka_error_code());
    if let Some(code) = codes().find(|code| is_refusal(*code)) {
        return Err(SendError::Refused(code.to_string()));
    }
    // A broker refuses a request as a whole for its size, whichever of its events are to blame.
    if reports.len() > 1
        && let Some(code) = codes().find(|code| *code == Code::MessageSizeTooLarge)
    {
        return Err(SendError::TooLarge(code.to_string()));
    }
    if failures.len() == reports.len()
        && let Some((_, error)) = failures.first()
        && !failures.iter().any(|(_, error)| is_rejection(error))
    {
        return Err(match trouble {
            Some(Trouble { problem, is_refusal: true }) => SendError::Refused(format!("{problem} ({error})")),
            Some(Trouble { problem, .. }) => SendError::later(format!("{problem} ({error})")),
            None => SendError::later(error.to_string()),
        });
    }
    let failed = failures.into_iter().map(|(position, error)| {
        let problem = error.to_string();
        let rejected = is_rejection(error);
        let failure = if rejected { EventFailure::Rejected(problem) } else { EventFailure::Later(problem) };
        FailedEvent { position, failure }
    });
    Ok(Delivery { failed: failed.collect(), ..Delivery::default() })
}

/// What the connection to the brokers complained of.
#[derive(Clone, Debug)]
pub(super) struct Trouble {
    pub(super) problem: String,
    /// Whether time does not heal it.
    pub(super) is_refusal: bool,
}

/// Whether the brokers do not take us, or there is no such topic.
pub(super) const fn is_refusal(code: Code) -> bool {
    matches!(
        code,
        Code::Authentication
            | Code::SaslAuthenticationFailed
            | Code::UnsupportedSASLMechanism
            | Code::IllegalSASLState
            | Code::TopicAuthorizationFailed
            | Code::ClusterAuthorizationFailed
            | Code::TransactionalIdAuthorizationFailed
            | Code::UnknownTopic
            | Code::UnknownTopicOrPartition
            | Code::InvalidTopic
            | Code::SSL
    )
}

/// Whether an event will never be taken.
fn is_rejection(error: &KafkaError) -> bool {
    matches!(
        error.rdkafka_error_code(),
        Some(Code::MessageSizeTooLarge | Code::InvalidRecord | Code::InvalidMessage | Code::PolicyViolation)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(code: Code) -> Report {
        Err(KafkaError::MessageProduction(code))
    }

    #[test]
    fn every_event_has_a_fate_of_its_own() {
        let reports = [Ok(()), failed(Code::InvalidRecord), failed(Code::MessageTimedOut)];
        let delivery = sort(&reports, None).unwrap();
        let [rejected, later] = delivery.failed.as_slice() else { panic!("{delivery:?}") };
        assert!(rejected.position == 1 && matches!(rejected.failure, EventFailure::Rejected(_)), "{rejected:?}");
        assert!(later.position == 2 && matches!(later.failure, EventFailure::Later(_)), "{later:?}");
        assert_eq!(sort(&[Ok(()), Ok(())], None), Ok(Delivery::default()));
    }

    #[test]
    fn a_request_that_is_too_large_is_halved_and_an_event_that_is_becomes_a_dead_letter() {
        let large = || failed(Code::MessageSizeTooLarge);
        assert!(matches!(sort(&[Ok(()), large(), large()], None), Err(SendError::TooLarge(_))));
        let alone = sort(&[large()], None).unwrap();
        assert!(matches!(alone.failed[0].failure, EventFailure::Rejected(_)), "{alone:?}");
    }

    #[test]
    fn a_silent_cluster_is_tried_again_and_one_that_refuses_us_parks() {
        let reports = [failed(Code::MessageTimedOut), failed(Code::MessageTimedOut)];
        assert!(matches!(sort(&reports, None), Err(SendError::Later { .. })));
        let trouble = |is_refusal| Trouble { problem: "wrong password".into(), is_refusal };
        assert!(matches!(sort(&reports, Some(&trouble(false))), Err(SendError::Later { .. })));
        assert!(matches!(sort(&reports, Some(&trouble(true))), Err(SendError::Refused(_))));
        assert!(matches!(sort(&[failed(Code::TopicAuthorizationFailed)], None), Err(SendError::Refused(_))));
    }
}

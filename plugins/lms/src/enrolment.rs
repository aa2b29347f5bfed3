//! The body of the LMS's enrolment call, as the edX enrolment API takes it.

use coordinator_sdk::prelude::*;

/// One learner in one course.
#[data]
pub(crate) struct Enrolment {
    user: String,
    mode: String,
    is_active: bool,
    course_details: CourseDetails,
    enrollment_attributes: Vec<Attribute>,
}

#[data]
struct CourseDetails {
    course_id: String,
}

#[data]
struct Attribute {
    namespace: String,
    name: String,
    value: String,
}

impl Enrolment {
    pub(crate) fn new(
        user: &str,
        mode: &str,
        course: &str,
        order: &str,
        processor: &str,
        paid_at: Timestamp,
    ) -> Self {
        let attribute = |name: &str, value: &str| Attribute {
            namespace: "order".to_owned(),
            name: name.to_owned(),
            value: value.to_owned(),
        };
        Self {
            user: user.to_owned(),
            mode: mode.to_owned(),
            is_active: true,
            course_details: CourseDetails {
                course_id: course.to_owned(),
            },
            enrollment_attributes: vec![
                attribute("order_number", order),
                attribute("date_placed", &paid_at.to_string()),
                attribute("source_system", processor),
            ],
        }
    }
}

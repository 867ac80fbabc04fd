//! stub
pub fn encode(
    p: &crate::payload::Payload,
    to: &mut dyn std::io::Write,
) -> std::io::Result<crate::payload::Encoded> {
    crate::outputs::json_lines::encode(p, to)
}

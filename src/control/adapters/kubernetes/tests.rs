use super::*;

#[test]
fn memory_is_read_in_both_notations() {
    assert_eq!(memory_bytes("2048m"), Some(2 << 30));
    assert_eq!(memory_bytes("2Gi"), Some(2 << 30));
    assert_eq!(memory_bytes("4 gb"), Some(4 << 30));
    assert_eq!(memory_bytes("1024"), Some(1024));
    assert_eq!(memory_bytes("lots"), None);
    assert_eq!(memory_bytes(""), None);
    assert_eq!(memory_bytes("99999999999999999999g"), None);
}

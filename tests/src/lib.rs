//! The whole house, tested through its public door.

//! What the product counts about itself.

//! A schema whose attributes are all texts.

use tf_provider::schema::{
    Attribute, AttributeConstraint, AttributeType, Block, Description, Schema,
};

pub(crate) fn texts<const COUNT: usize>(
    description: &str,
    attributes: [(&str, AttributeConstraint); COUNT],
) -> Schema {
    let text = |(name, constraint): (&str, AttributeConstraint)| {
        let attribute = Attribute {
            attr_type: AttributeType::String,
            description: Description::plain(""),
            constraint,
            ..Default::default()
        };
        (name.to_owned(), attribute)
    };
    Schema {
        version: 1,
        block: Block {
            version: 1,
            description: Description::plain(description.to_owned()),
            attributes: attributes.into_iter().map(text).collect(),
            ..Default::default()
        },
    }
}

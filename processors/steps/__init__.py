"""The steps, one word of a flow file each: a Spec and a plan, and the step that comes of it."""

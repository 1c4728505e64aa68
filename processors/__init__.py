"""The verbs: one step a file, the flow models and the compiler that turns a flow file into steps."""

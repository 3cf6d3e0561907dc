"""The schemas of the bodies of requests and answers, in JSON Schema."""

from mlops_dagster.serving.protocol.request_parameters import MAX_TEXT
from mlops_dagster.serving.protocol.tensors import DATATYPES, Json

TEXT = {"type": "string"}
NAME = {"type": "string", "maxLength": MAX_TEXT}


def schemas() -> dict[str, Json]:
    parameters = json_object(
        [],
        routing_key={**NAME, "description": "requests of one key are answered by one arm for a whole rollout"},
        arm={"enum": ["champion", "canary"], "description": "who must answer"},
        version={**NAME, "description": "the version that must answer, as in the path"},
        event_time={
            "type": "string",
            "format": "date-time",
            "description": "of replayed traffic, where that is allowed",
        },
        binary_data_output={"type": "boolean", "description": "all outputs as binary data"},
    )
    parameters["type"] = ["object", "null"]
    parameters["description"] = "Others are let be; texts, numbers and booleans come back in the answer."
    of_input = json_object(
        [],
        binary_data_size={"type": "integer", "minimum": 0, "description": "bytes of this tensor after the JSON"},
        content_type={"type": ["string", "null"], "description": "of MLServer's codecs; pd_json is understood"},
    )
    tensor = {
        "type": "array",
        "description": "Row by row; nested as the shape says, or flat. Null where a value is not known.",
        "items": {"type": ["number", "string", "boolean", "null", "array"]},
    }
    shape = {"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 2}
    named = {"name": TEXT, "datatype": {"enum": sorted(DATATYPES)}}
    any_parameters = {"type": "object"}
    return {
        "InferRequest": json_object(
            ["inputs"],
            id={"type": ["string", "null"], "maxLength": MAX_TEXT, "description": "names the prediction in the log"},
            parameters=parameters,
            inputs={"type": "array", "minItems": 1, "items": ref("Input")},
            outputs={
                "type": ["array", "null"],
                "items": ref("RequestedOutput"),
                "description": "else all but those on request, such as probabilities",
            },
        ),
        "Input": json_object(
            ["name", "datatype", "shape"],
            **named,
            shape={
                **shape,
                "items": {"type": "integer", "minimum": 1},
                "description": "[rows], [rows, 1] or [rows, features]",
            },
            parameters={**of_input, "type": ["object", "null"]},
            data={**tensor, "description": f"{tensor['description']} Absent where the data is binary."},
        ),
        "RequestedOutput": json_object(
            ["name"],
            name={"type": "string", "description": "an output that the metadata of the model names"},
            parameters={**json_object([], binary_data={"type": "boolean"}), "type": ["object", "null"]},
        ),
        "InferResponse": json_object(
            ["model_name", "model_version", "id", "parameters", "outputs"],
            model_name=TEXT,
            model_version=TEXT,
            id=TEXT,
            parameters=json_object(["role"], role={"enum": ["champion", "canary", "named"]}),
            outputs={"type": "array", "items": ref("Output")},
        ),
        "Output": json_object(
            ["name", "datatype", "shape"], **named, shape=shape, parameters=any_parameters, data=tensor
        ),
        "ModelMetadata": json_object(
            ["name", "versions", "platform", "inputs", "outputs"],
            name=TEXT,
            versions={"type": "array", "items": TEXT},
            platform=TEXT,
            inputs={"type": "array", "items": ref("TensorMetadata")},
            outputs={"type": "array", "items": ref("TensorMetadata")},
        ),
        "TensorMetadata": json_object(["name", "datatype", "shape"], **named, shape=shape, parameters=any_parameters),
        "ServerMetadata": json_object(
            ["name", "version", "extensions"], name=TEXT, version=TEXT, extensions={"type": "array", "items": TEXT}
        ),
        "Live": json_object(["live"], live={"const": True}),
        "Ready": json_object(
            ["ready", "reasons"],
            ready={"type": "boolean"},
            reasons={
                "type": "object",
                "additionalProperties": TEXT,
                "description": "what is in the way: a model or a part, and why",
            },
            warnings={
                "type": "object",
                "additionalProperties": TEXT,
                "description": "what fails beside the answers: a part, and how; absent if nothing does",
            },
        ),
        "ModelReady": json_object(
            ["name", "version", "ready"],
            name=TEXT,
            version={"type": ["string", "null"]},
            ready={"type": "boolean"},
            error=TEXT,
        ),
        "Feedback": json_object(["labels"], labels={"type": "array", "minItems": 1, "items": ref("Label")}),
        "Label": json_object(
            ["prediction_id", "label"],
            prediction_id=TEXT,
            label={
                "type": ["string", "number", "boolean"],
                "description": "a class of the model; 1 is the class called 1, true the class called True",
            },
            at={"type": ["string", "null"], "format": "date-time", "description": "when it became known; else now"},
        ),
        "FeedbackResult": json_object(
            ["accepted", "corrections", "pending", "unknown"],
            accepted={"type": "integer"},
            corrections={"type": "integer"},
            pending={"type": "integer", "description": "of those accepted: kept for the replica that answered"},
            unknown={"type": "array", "items": TEXT},
        ),
        "Flush": json_object([], log={"type": "boolean"}),
        "Flushed": {"type": "object", "additionalProperties": {"type": "integer"}},
        "Error": json_object(["error", "code"], error=TEXT, code={**TEXT, "description": "stable"}),
    }


def json_object(required: list[str], **properties: Json) -> dict[str, Json]:
    return {"type": "object", "required": required, "properties": properties}


def ref(schema: str) -> dict[str, Json]:
    return {"$ref": f"#/components/schemas/{schema}"}

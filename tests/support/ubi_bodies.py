"""How OpenSearch 3.8 refuses `ext.ubi` without the UBI plugin, and how the plugin's own parser refuses it.

The plugin cannot be had here, so its refusal follows its source: github.com/opensearch-project/user-behavior-
insights, `UbiParameters.java`, and OpenSearch's `ObjectParser`.
"""

UNKNOWN_EXTENSION = {
    "error": {
        "type": "named_object_not_found_exception",
        "reason": "[1:24] unable to parse SearchExtBuilder with name [ubi]: parser not found",
    },
    "status": 400,
}
WRONG_TYPE = {
    "error": {
        "type": "x_content_parse_exception",
        "reason": "[1:36] [ubi] query_id doesn't support values of type: START_ARRAY",
    },
    "status": 400,
}

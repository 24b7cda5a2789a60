using System.Text.Json;
using System.Text.Json.Nodes;

namespace Qkd.Configuration.Tests.Schema;

/// <summary>Holds a document against a schema of the keywords that <see cref="SchemaGenerator"/> uses; any other is refused, not passed over.</summary>
internal sealed class SchemaValidator(string schema)
{
    private readonly JsonObject _root = JsonNode.Parse(schema)!.AsObject();

    /// <summary>Where the document departs from the schema: paths as in <c>Bench:Web:StatusPage</c>, each with what is wrong there.</summary>
    public IReadOnlyList<(string Path, string Problem)> Problems(JsonNode document)
    {
        var problems = new List<(string, string)>();
        Check(document, _root, "", problems);
        return problems;
    }

    private void Check(JsonNode? value, JsonObject schema, string path, List<(string Path, string Problem)> problems)
    {
        foreach (var (keyword, rule) in schema)
        {
            switch (keyword)
            {
                case "$schema" or "$defs" or "title" or "description" or "default":
                    break;
                case "$ref":
                    Check(value, Definition(rule!.GetValue<string>()), path, problems);
                    break;
                case "type":
                    Require(IsOf(value, rule!.GetValue<string>()), $"is no {rule}");
                    break;
                case "enum":
                    Require(rule!.AsArray().Any(allowed => JsonNode.DeepEquals(allowed, value)), $"is none of {rule.ToJsonString()}");
                    break;
                case "minimum":
                    Require(value is not JsonValue number || number.GetValueKind() != JsonValueKind.Number || number.GetValue<double>() >= rule!.GetValue<double>(), $"is below {rule}");
                    break;
                case "required":
                    foreach (var name in rule!.AsArray().Select(name => name!.GetValue<string>()))
                    {
                        Require(value is not JsonObject owner || owner.ContainsKey(name), $"lacks {name}");
                    }

                    break;
                case "properties":
                    foreach (var (name, child) in Children(value).Where(child => rule!.AsObject().ContainsKey(child.Key)))
                    {
                        Check(child, rule![name]!.AsObject(), Join(path, name), problems);
                    }

                    break;
                case "additionalProperties":
                    foreach (var (name, child) in Children(value).Where(child => !(schema["properties"]?.AsObject().ContainsKey(child.Key) ?? false)))
                    {
                        if (rule is JsonObject others)
                        {
                            Check(child, others, Join(path, name), problems);
                        }
                        else if (!rule!.GetValue<bool>())
                        {
                            problems.Add((Join(path, name), "there is no such setting"));
                        }
                    }

                    break;
                case "items":
                    for (var i = 0; value is JsonArray list && i < list.Count; i++)
                    {
                        Check(list[i], rule!.AsObject(), Join(path, $"{i}"), problems);
                    }

                    break;
                default:
                    throw new NotSupportedException($"keyword {keyword}");
            }
        }

        void Require(bool holds, string problem)
        {
            if (!holds)
            {
                problems.Add((path, problem));
            }
        }
    }

    private static IEnumerable<KeyValuePair<string, JsonNode?>> Children(JsonNode? value) => value as JsonObject ?? [];

    private static string Join(string path, string name) => path.Length == 0 ? name : $"{path}:{name}";

    private static bool IsOf(JsonNode? value, string type) => (type, value?.GetValueKind()) switch
    {
        ("object", JsonValueKind.Object) or ("array", JsonValueKind.Array) or ("string", JsonValueKind.String) or ("number", JsonValueKind.Number) => true,
        ("boolean", JsonValueKind.True or JsonValueKind.False) => true,

        // Stricter than the draft, to which 1e6 and 1.0 are integers: the configuration reads neither as one.
        ("integer", JsonValueKind.Number) => value!.ToJsonString().TrimStart('-').All(char.IsAsciiDigit),
        _ => false,
    };

    private JsonObject Definition(string reference)
    {
        var node = (JsonNode)_root;
        foreach (var step in reference.Split('/').Skip(1))
        {
            node = node[step] ?? throw new InvalidOperationException($"{reference} leads nowhere");
        }

        return node.AsObject();
    }
}

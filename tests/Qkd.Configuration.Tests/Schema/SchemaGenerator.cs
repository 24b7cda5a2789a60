using System.Reflection;
using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Nodes;
using Qkd.Node.Configuration;
using Qkd.Sim.Bench;

namespace Qkd.Configuration.Tests.Schema;

/// <summary>
/// JSON schema (draft 2020-12) of the configuration files, from the types that they are bound to. Ranges stay with the validators, which know
/// what depends on what; the schema has names, kinds, defaults and descriptions.
/// </summary>
internal static class SchemaGenerator
{
    private static readonly JsonSerializerOptions Format = new() { WriteIndented = true, NewLine = "\n", Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>The whole schema as it is checked in.</summary>
    public static string Text() => Schema().ToJsonString(Format) + "\n";

    private static JsonObject Schema()
    {
        var definitions = new SortedDictionary<string, JsonObject>(StringComparer.Ordinal);
        var bench = Reference(typeof(BenchOptions), definitions);
        ((JsonObject)definitions[nameof(BenchOptions)]["properties"]!).Add("Emulation", Described(Reference(typeof(EmulationSettings), definitions), XmlDocs.Of(typeof(EmulationSettings))));
        return new JsonObject
        {
            ["$schema"] = "https://json-schema.org/draft/2020-12/schema",
            ["title"] = "Configuration of the quantum key distribution nodes",
            ["description"] = "Every setting may also come from the environment (QKD_Bench__Web__StatusPage) and from the command line (--Bench:Web:StatusPage=...), the later on top.",
            ["type"] = "object",
            ["properties"] = new JsonObject
            {
                ["$schema"] = new JsonObject { ["type"] = "string", ["description"] = "This schema, for editors." },
                ["Bench"] = Described(bench, XmlDocs.Of(typeof(BenchOptions))),
            },
            ["required"] = new JsonArray("Bench"),
            ["additionalProperties"] = false,
            ["$defs"] = new JsonObject(definitions.Select(definition => KeyValuePair.Create(definition.Key, (JsonNode?)definition.Value))),
        };
    }

    private static JsonObject Reference(Type type, SortedDictionary<string, JsonObject> definitions)
    {
        if (!definitions.ContainsKey(type.Name))
        {
            var properties = new JsonObject();
            definitions[type.Name] = new JsonObject
            {
                ["description"] = XmlDocs.Of(type),
                ["type"] = "object",
                ["properties"] = properties,
                ["additionalProperties"] = false,
            };
            var defaults = Activator.CreateInstance(type)!;
            foreach (var property in SettingsOf(type))
            {
                var schema = Described(Kind(property.PropertyType, definitions), XmlDocs.Of(property));
                if (Default(property.GetValue(defaults)) is { } value)
                {
                    schema["default"] = value;
                }

                properties.Add(property.Name, schema);
            }
        }

        return new JsonObject { ["$ref"] = $"#/$defs/{type.Name}" };
    }

    /// <summary>What both nodes have in common first; computed properties are no settings.</summary>
    private static IEnumerable<PropertyInfo> SettingsOf(Type type) =>
        type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.CanWrite).OrderBy(property => property.DeclaringType == type);

    private static JsonObject Kind(Type type, SortedDictionary<string, JsonObject> definitions)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (type == typeof(IReadOnlyDictionary<string, string>))
        {
            // A driver's options are its own affair.
            return new JsonObject { ["type"] = "object" };
        }

        if (type.IsGenericType)
        {
            var isList = type.GetGenericTypeDefinition() == typeof(IReadOnlyList<>);
            return new JsonObject { ["type"] = isList ? "array" : "object", [isList ? "items" : "additionalProperties"] = Kind(type.GetGenericArguments()[^1], definitions) };
        }

        return type switch
        {
            { IsEnum: true } => new JsonObject { ["enum"] = new JsonArray([.. Enum.GetNames(type).Select(name => JsonValue.Create(name))]) },
            _ when type == typeof(string) => new JsonObject { ["type"] = "string" },
            _ when type == typeof(bool) => new JsonObject { ["type"] = "boolean" },
            _ when type == typeof(double) => new JsonObject { ["type"] = "number" },
            _ when type == typeof(int) || type == typeof(long) => new JsonObject { ["type"] = "integer" },
            _ when type == typeof(ulong) => new JsonObject { ["type"] = "integer", ["minimum"] = 0 },
            { IsClass: true } => Reference(type, definitions),
            _ => throw new NotSupportedException($"a setting of type {type}"),
        };
    }

    private static JsonObject Described(JsonObject schema, string description)
    {
        schema.Insert(0, "description", description);
        return schema;
    }

    /// <summary>An empty text or list says nothing that the description does not.</summary>
    private static JsonNode? Default(object? value) => value switch
    {
        string { Length: > 0 } or bool or int or long or ulong or double => JsonSerializer.SerializeToNode(value),
        Enum name => JsonValue.Create(name.ToString()),
        _ => null,
    };
}

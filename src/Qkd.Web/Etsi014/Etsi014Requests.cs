using System.Globalization;
using System.Text.Json;
using Microsoft.AspNetCore.Http;
using Qkd.Keys;

namespace Qkd.Web.Etsi014;

/// <summary>
/// Reads requests. Unknown members are ignored, since real clients send some; members of the wrong kind and malformed JSON are refused and
/// never replaced by a default.
/// </summary>
internal static class Etsi014Requests
{
    private const int MostIds = 1024;

    // A member that is given twice has no one meaning.
    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false };

    private static readonly string[] BodyOnly = ["additional_slave_SAE_IDs", "extension_mandatory", "extension_optional"];

    /// <summary>"Get key" from the query or the body.</summary>
    /// <exception cref="KeyRequestException">Not as the standard has it.</exception>
    public static async Task<KeyRequest> KeyRequestAsync(HttpRequest http, string master, string slave, CancellationToken cancellationToken)
    {
        if (HttpMethods.IsGet(http.Method))
        {
            if (BodyOnly.FirstOrDefault(http.Query.ContainsKey) is { } bodyOnly)
            {
                throw new KeyRequestException($"{bodyOnly} needs POST");
            }

            return new KeyRequest
            {
                MasterSaeId = master,
                SlaveSaeId = slave,
                Number = QueryNumber(http, "number") ?? 1,
                SizeBits = QueryNumber(http, "size"),
            };
        }

        using var body = await BodyAsync(http, cancellationToken);
        return Read(body.RootElement, root =>
        {
            if (Elements(root, "extension_mandatory").Count > 0)
            {
                throw new KeyRequestException("not all extension_mandatory parameters are supported");
            }

            _ = Elements(root, "extension_optional");
            return new KeyRequest
            {
                MasterSaeId = master,
                SlaveSaeId = slave,
                Number = Number(root, "number") ?? 1,
                SizeBits = Number(root, "size"),
                AdditionalSlaveSaeIds = [.. Elements(root, "additional_slave_SAE_IDs").Select(id =>
                    id.ValueKind == JsonValueKind.String ? id.GetString()! : throw new KeyRequestException("additional_slave_SAE_IDs shall be an array of strings"))],
            };
        });
    }

    /// <summary>"Get key with key ids" from the query or the body.</summary>
    /// <exception cref="KeyRequestException">Not as the standard has it.</exception>
    public static async Task<IReadOnlyList<Guid>> KeyIdsAsync(HttpRequest http, CancellationToken cancellationToken)
    {
        if (HttpMethods.IsGet(http.Method))
        {
            return http.Query["key_ID"] is [{ } one] ? [Id(one)] : throw new KeyRequestException("key_ID shall be given once; several ids need POST");
        }

        using var body = await BodyAsync(http, cancellationToken);
        return Read(body.RootElement, root =>
        {
            var ids = Elements(root, "key_IDs");
            if (ids.Count is 0 or > MostIds)
            {
                throw new KeyRequestException($"key_IDs shall be an array of 1 to {MostIds} objects");
            }

            List<Guid> read = [.. ids.Select(id =>
                id.ValueKind == JsonValueKind.Object && id.TryGetProperty("key_ID", out var text) && text.ValueKind == JsonValueKind.String
                    ? Id(text.GetString()!)
                    : throw new KeyRequestException("each of key_IDs shall be an object with the string key_ID"))];
            return read.Distinct().Count() == read.Count ? read : throw new KeyRequestException("a key_ID is given twice");
        });
    }

    private static async Task<JsonDocument> BodyAsync(HttpRequest http, CancellationToken cancellationToken)
    {
        using var content = new MemoryStream();
        await http.Body.CopyToAsync(content, cancellationToken);
        if (content.Length == 0)
        {
            return JsonDocument.Parse("{}");
        }

        try
        {
            content.Position = 0;
            var document = await JsonDocument.ParseAsync(content, Strict, cancellationToken);
            if (document.RootElement.ValueKind == JsonValueKind.Object)
            {
                return document;
            }

            document.Dispose();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // Said below.
        }

        throw NoJson();
    }

    /// <summary>Bytes or escapes that are no text come to light only when the text is taken out.</summary>
    private static T Read<T>(JsonElement root, Func<JsonElement, T> read)
    {
        try
        {
            return read(root);
        }
        catch (InvalidOperationException)
        {
            throw NoJson();
        }
    }

    private static KeyRequestException NoJson() => new("the body shall be a JSON object in UTF-8");

    private static int? Number(JsonElement root, string name)
    {
        if (!root.TryGetProperty(name, out var value))
        {
            return null;
        }

        return value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number)
            ? number
            : throw new KeyRequestException($"{name} shall be an integer");
    }

    private static int? QueryNumber(HttpRequest http, string name)
    {
        var values = http.Query[name];
        if (values.Count == 0)
        {
            return null;
        }

        return values.Count == 1 && int.TryParse(values[0], NumberStyles.None, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw new KeyRequestException($"{name} shall be an integer");
    }

    private static IReadOnlyList<JsonElement> Elements(JsonElement root, string name)
    {
        if (!root.TryGetProperty(name, out var value) || value.ValueKind == JsonValueKind.Null)
        {
            return [];
        }

        return value.ValueKind == JsonValueKind.Array ? [.. value.EnumerateArray()] : throw new KeyRequestException($"{name} shall be an array");
    }

    private static Guid Id(string text) => Guid.TryParseExact(text, "D", out var id) ? id : throw new KeyRequestException("key_ID shall be a UUID");
}

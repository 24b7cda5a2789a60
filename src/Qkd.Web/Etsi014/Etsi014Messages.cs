using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Qkd.Web.Etsi014;

/// <summary>Answer to "Get status", with the names of ETSI GS QKD 014 V1.1.1, clause 6.1.</summary>
public sealed record Etsi014Status
{
    /// <summary>The key management entity (KME) that answers.</summary>
    [JsonPropertyName("source_KME_ID")]
    public required string SourceKmeId { get; init; }

    /// <summary>The KME of the application at the other end.</summary>
    [JsonPropertyName("target_KME_ID")]
    public required string TargetKmeId { get; init; }

    /// <summary>The secure application entity (SAE) that asks.</summary>
    [JsonPropertyName("master_SAE_ID")]
    public required string MasterSaeId { get; init; }

    /// <summary>The SAE at the other end.</summary>
    [JsonPropertyName("slave_SAE_ID")]
    public required string SlaveSaeId { get; init; }

    /// <summary>Default size of a key in bits.</summary>
    [JsonPropertyName("key_size")]
    public required int KeySize { get; init; }

    /// <summary>Keys of that size that can be delivered now.</summary>
    [JsonPropertyName("stored_key_count")]
    public required long StoredKeyCount { get; init; }

    /// <summary>Most keys of that size that can be stored.</summary>
    [JsonPropertyName("max_key_count")]
    public required long MaxKeyCount { get; init; }

    /// <summary>Most keys in one request.</summary>
    [JsonPropertyName("max_key_per_request")]
    public required int MaxKeyPerRequest { get; init; }

    /// <summary>Largest key in bits.</summary>
    [JsonPropertyName("max_key_size")]
    public required int MaxKeySize { get; init; }

    /// <summary>Smallest key in bits.</summary>
    [JsonPropertyName("min_key_size")]
    public required int MinKeySize { get; init; }

    /// <summary>Most additional SAEs of a key; 0 where a key has one recipient only.</summary>
    [JsonPropertyName("max_SAE_ID_count")]
    public required int MaxSaeIdCount { get; init; }

    /// <summary>How full the pool is, and what its key is fit for. Not part of the standard.</summary>
    [JsonPropertyName("status_extension")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Etsi014StatusExtension? Extension { get; init; }
}

/// <summary>What this project adds to a status.</summary>
/// <param name="Pool"><c>READY</c>, <c>WARNING</c>, <c>CHARGING</c> or <c>EMPTY</c>.</param>
/// <param name="Provenances">Grades of the key that is there.</param>
public sealed record Etsi014StatusExtension(
    [property: JsonPropertyName("pool")] string Pool,
    [property: JsonPropertyName("provenances")] IReadOnlyList<Etsi014KeyExtension> Provenances);

/// <summary>What a key is fit for. Not part of the standard.</summary>
/// <param name="Grade"><c>Attested</c> or <c>Laboratory</c>.</param>
/// <param name="Emulated">Whether it comes from emulated instruments.</param>
public sealed record Etsi014KeyExtension(
    [property: JsonPropertyName("grade")] string Grade,
    [property: JsonPropertyName("emulated")] bool Emulated);

/// <summary>One delivered key. Never printed by its own <see cref="ToString"/>.</summary>
public sealed record Etsi014Key
{
    /// <summary>The id under which the other side holds the same key: a UUID.</summary>
    [JsonPropertyName("key_ID")]
    public required Guid KeyId { get; init; }

    /// <summary>The key; base64 in JSON.</summary>
    [JsonPropertyName("key")]
    public required byte[] Key { get; init; }

    /// <summary>What it is fit for.</summary>
    [JsonPropertyName("key_extension")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public Etsi014KeyExtension? Extension { get; init; }

    /// <inheritdoc/>
    public override string ToString() => $"key {KeyId}";
}

/// <summary>Delivered keys, clause 6.3.</summary>
public sealed record Etsi014KeyContainer
{
    /// <summary>The keys.</summary>
    [JsonPropertyName("keys")]
    public required IReadOnlyList<Etsi014Key> Keys { get; init; }
}

/// <summary>An error, clause 6.5.</summary>
/// <param name="Message">What is wrong.</param>
public sealed record Etsi014Error([property: JsonPropertyName("message")] string Message);

/// <summary>A request for keys as a client sends it, clause 6.2. What is null is left out.</summary>
internal sealed record Etsi014KeyRequest
{
    [JsonPropertyName("number")]
    public int Number { get; init; } = 1;

    [JsonPropertyName("size")]
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Size { get; init; }
}

/// <summary>Ids of keys as a client sends them, clause 6.4.</summary>
internal sealed record Etsi014KeyIds([property: JsonPropertyName("key_IDs")] IReadOnlyList<Etsi014KeyId> KeyIds);

/// <summary>One id.</summary>
internal sealed record Etsi014KeyId([property: JsonPropertyName("key_ID")] Guid KeyId);

/// <summary>How the messages are written.</summary>
public static class Etsi014Json
{
    /// <summary>As on the wire.</summary>
    public static JsonSerializerOptions Compact { get; } = new() { Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    /// <summary>For a person.</summary>
    public static JsonSerializerOptions Indented { get; } = new(Compact) { WriteIndented = true };
}

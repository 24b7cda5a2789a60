using System.Text.Json;
using System.Text.Json.Serialization;
using Qkd.Distillation;

namespace Qkd.Cli.Distilling;

/// <summary>
/// A file of decoy counts: a JSON object with the members <c>mu, p, key_counts, test_counts, test_errors</c>, each an array of three numbers, brightest intensity first.
/// </summary>
internal sealed record DecoyCountsFile
{
    private static readonly JsonSerializerOptions Json = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.SnakeCaseLower,
        UnmappedMemberHandling = JsonUnmappedMemberHandling.Disallow,
        AllowTrailingCommas = true,
        ReadCommentHandling = JsonCommentHandling.Skip,
    };

    public required IReadOnlyList<double> Mu { get; init; }

    public required IReadOnlyList<double> P { get; init; }

    public required IReadOnlyList<long> KeyCounts { get; init; }

    public required IReadOnlyList<long> TestCounts { get; init; }

    public required IReadOnlyList<long> TestErrors { get; init; }

    /// <summary>Reads a file.</summary>
    /// <exception cref="InvalidDataException">It is not such an object.</exception>
    public static DecoyCounts Read(string path)
    {
        try
        {
            var file = JsonSerializer.Deserialize<DecoyCountsFile>(File.ReadAllText(path), Json) ?? throw new JsonException("it is empty");
            return new(file.Mu, file.P, file.KeyCounts, file.TestCounts, file.TestErrors);
        }
        catch (JsonException e)
        {
            throw new InvalidDataException($"{path} holds no decoy counts: {e.Message}", e);
        }
    }
}

using System.Globalization;

namespace Qkd.Drivers.OzOptics.Dd100Mc;

/// <summary>
/// One answer: the lines before <c>Done</c>, without empty ones. Values follow a name and a colon; what else a line holds (a unit, a
/// remark) differs between firmwares and does not matter.
/// </summary>
internal sealed record Dd100McReply(IReadOnlyList<string> Lines)
{
    /// <summary>Motor position after a movement, in steps: <c>Pos:1234</c>.</summary>
    public long? MovedToSteps => ToSteps(Find("Pos:"));

    /// <summary>Motor position on display, in steps: <c>DPos:1234</c>.</summary>
    public long? PositionSteps => ToSteps(Find("DPos:"));

    /// <summary>Attenuation on display, in dB: <c>ATTEN:12.50</c>; null where there is no such line or no number in it.</summary>
    public double? AttenuationDecibels =>
        double.TryParse(Number(Find("ATTEN:")), NumberStyles.Float, CultureInfo.InvariantCulture, out var decibels) ? decibels : null;

    /// <summary>Whether this is an answer to <c>D</c>.</summary>
    public bool IsDisplay => PositionSteps is not null && Find("ATTEN:") is not null;

    /// <summary>The line in which the instrument complains; null where there is none. Its wording is not documented.</summary>
    public string? Complaint => Lines.FirstOrDefault(line =>
        line.Contains("error", StringComparison.OrdinalIgnoreCase)
        || line.Contains("bad command", StringComparison.OrdinalIgnoreCase)
        || line.Contains("unknown command", StringComparison.OrdinalIgnoreCase));

    /// <inheritdoc/>
    public override string ToString() => $"'{string.Join(" / ", Lines)}'";

    private string? Find(string name) =>
        Lines.FirstOrDefault(line => line.StartsWith(name, StringComparison.OrdinalIgnoreCase))?[name.Length..];

    private static long? ToSteps(string? text) =>
        long.TryParse(Number(text), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var steps) ? steps : null;

    /// <summary>
    /// The number at the head of a text. A second colon means that two answers have run together, one of them cut off: whatever
    /// number stands there is not to be trusted.
    /// </summary>
    private static ReadOnlySpan<char> Number(string? text)
    {
        var trimmed = text.AsSpan().TrimStart();
        var length = 0;
        while (length < trimmed.Length && (char.IsAsciiDigit(trimmed[length]) || trimmed[length] is '+' or '-' or '.'))
        {
            length++;
        }

        return trimmed[length..].Contains(':') ? default : trimmed[..length];
    }
}

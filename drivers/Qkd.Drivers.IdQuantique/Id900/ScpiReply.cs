using System.Globalization;

namespace Qkd.Drivers.IdQuantique.Id900;

/// <summary>Reads the instrument's answers. Numbers may carry a unit: <c>1000TB</c>, <c>-0.4V</c>.</summary>
internal static class ScpiReply
{
    /// <summary>Whether a line is an error: its number, a comma and a text in quotation marks, e.g. <c>-113,"Undefined header"</c>.</summary>
    public static bool IsError(string line)
    {
        var comma = line.IndexOf(',', StringComparison.Ordinal);
        return comma > 0
            && comma + 1 < line.Length
            && line[comma + 1] == '"'
            && int.TryParse(line.AsSpan(0, comma), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out var code)
            && code != 0;
    }

    /// <summary>A number, with or without one of its units: <c>V</c> for volts, <c>TB</c> or <c>ps</c> for times.</summary>
    public static bool TryNumber(string line, out double value, params ReadOnlySpan<string> units) =>
        double.TryParse(WithoutUnit(line, units), NumberStyles.Float, CultureInfo.InvariantCulture, out value) && double.IsFinite(value);

    /// <summary>A whole number, with or without one of its units.</summary>
    public static bool TryWhole(string line, out long value, params ReadOnlySpan<string> units) =>
        long.TryParse(WithoutUnit(line, units), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out value);

    /// <summary>On or off, by word or number.</summary>
    public static bool TrySwitch(string line, out bool value)
    {
        value = line.Equals("ON", StringComparison.OrdinalIgnoreCase) || line == "1";
        return value || line.Equals("OFF", StringComparison.OrdinalIgnoreCase) || line == "0";
    }

    private static ReadOnlySpan<char> WithoutUnit(string line, ReadOnlySpan<string> units)
    {
        var text = line.AsSpan().Trim();
        foreach (var unit in units)
        {
            if (text.EndsWith(unit, StringComparison.OrdinalIgnoreCase))
            {
                return text[..^unit.Length].TrimEnd();
            }
        }

        return text;
    }
}

using System.Globalization;

namespace Qkd.Sim.Firmware.IdQuantique;

/// <summary>Reads and writes the instrument's values: numbers with units, switches, names of inputs.</summary>
internal static class ScpiValue
{
    private static readonly (string Unit, decimal Picoseconds)[] TimeUnits =
        [("TB", 1), ("PS", 1), ("NS", 1e3m), ("US", 1e6m), ("MS", 1e9m), ("S", 1e12m)];

    /// <summary>A time in picoseconds; a bare number is in the instrument's time base, TB, 1 ps.</summary>
    public static long Picoseconds(string text, long least, long most)
    {
        var value = Number(text, TimeUnits);
        return value >= least && value <= most ? (long)decimal.Round(value) : throw ScpiException.OutOfRange(text);
    }

    public static string Picoseconds(long value) => string.Create(CultureInfo.InvariantCulture, $"{value}TB");

    /// <summary>A voltage in volts.</summary>
    public static decimal Volts(string text, decimal limit)
    {
        var value = Number(text, [("MV", 1e-3m), ("V", 1)]);
        return Math.Abs(value) <= limit ? value : throw ScpiException.OutOfRange(text);
    }

    public static string Volts(decimal value) => string.Create(CultureInfo.InvariantCulture, $"{value:0.####}V");

    public static long Whole(string text, long least, long most)
    {
        var value = Number(text, []);
        return value >= least && value <= most ? (long)decimal.Round(value) : throw ScpiException.OutOfRange(text);
    }

    public static string Whole(long value) => value.ToString(CultureInfo.InvariantCulture);

    public static bool Switch(string text) => text.ToUpperInvariant() switch
    {
        "ON" or "1" or "TRUE" => true,
        "OFF" or "0" or "FALSE" => false,
        _ => throw ScpiException.WrongArgument(text),
    };

    public static string Switch(bool value) => value ? "ON" : "OFF";

    /// <summary>One of several words, given as in the manual with the short form in capitals. Answers the short form.</summary>
    public static string Choice(string text, params ReadOnlySpan<string> words)
    {
        foreach (var word in words)
        {
            var shortForm = string.Concat(word.TakeWhile(letter => !char.IsAsciiLetterLower(letter)));
            if (text.Length >= shortForm.Length && word.StartsWith(text, StringComparison.OrdinalIgnoreCase))
            {
                return shortForm;
            }
        }

        throw ScpiException.WrongArgument(text);
    }

    /// <summary>An input's number, 0 for STAR, or null for NONE.</summary>
    public static int? Input(string text)
    {
        var name = text.ToUpperInvariant();
        return name switch
        {
            "NONE" => null,
            "STAR" or "START" => 0,
            _ when name.StartsWith("INPU", StringComparison.Ordinal)
                && int.TryParse(name[4..].TrimStart('T'), NumberStyles.None, CultureInfo.InvariantCulture, out var number)
                && number is >= 1 and <= 4 => number,
            _ => throw ScpiException.WrongArgument(text),
        };
    }

    public static string Input(int? input) => input switch
    {
        null => "NONE",
        0 => "STAR",
        _ => string.Create(CultureInfo.InvariantCulture, $"INPU{input}"),
    };

    private static decimal Number(string text, ReadOnlySpan<(string Unit, decimal Scale)> units)
    {
        var digits = text.AsSpan().Trim();
        var scale = 1m;
        foreach (var (unit, factor) in units)
        {
            if (digits.EndsWith(unit, StringComparison.OrdinalIgnoreCase))
            {
                digits = digits[..^unit.Length].TrimEnd();
                scale = factor;
                break;
            }
        }

        try
        {
            return decimal.Parse(digits, NumberStyles.Float, CultureInfo.InvariantCulture) * scale;
        }
        catch (Exception exception) when (exception is FormatException or OverflowException)
        {
            throw ScpiException.WrongArgument(text);
        }
    }
}

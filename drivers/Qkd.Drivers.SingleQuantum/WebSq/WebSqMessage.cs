using System.Diagnostics.CodeAnalysis;
using System.Text;
using System.Text.Json;
using Qkd.Devices;

namespace Qkd.Drivers.SingleQuantum.WebSq;

/// <summary>
/// One message of the instrument: a label and its value. In answer to <c>labelProps</c> the value is an object with the properties of
/// the label, <c>value</c> among them; in an update, and in answer to a request for one label, it is the value itself.
/// </summary>
internal sealed class WebSqMessage
{
    private readonly JsonElement _value;

    private WebSqMessage(string label, JsonElement value)
    {
        Label = label;
        if (value.ValueKind == JsonValueKind.Object && value.TryGetProperty("value", out var inner))
        {
            (Properties, _value) = (value, inner);
        }
        else
        {
            _value = value;
        }
    }

    /// <summary>Name of the quantity.</summary>
    public string Label { get; }

    /// <summary>The label's properties; null in an update.</summary>
    public JsonElement? Properties { get; }

    /// <summary>Whether this is an error: its label says so.</summary>
    public bool IsError => Label.Contains("Error", StringComparison.OrdinalIgnoreCase);

    /// <summary>The value as the instrument wrote it, shortened, for messages.</summary>
    public string Text => Printable(_value.ValueKind == JsonValueKind.String ? _value.GetString()! : _value.GetRawText());

    /// <summary>Takes a message; false if the JSON value is none.</summary>
    public static bool TryRead(JsonElement element, [NotNullWhen(true)] out WebSqMessage? message)
    {
        message = element.ValueKind == JsonValueKind.Object
            && element.TryGetProperty("label", out var label) && label.ValueKind == JsonValueKind.String
            && element.TryGetProperty("value", out var value)
                ? new(label.GetString()!, value)
                : null;
        return message is not null;
    }

    /// <summary>The value as numbers; a single number is a list of one. False for anything else.</summary>
    public bool TryGetNumbers([NotNullWhen(true)] out double[]? numbers)
    {
        numbers = null;
        if (_value.ValueKind == JsonValueKind.Number)
        {
            numbers = [_value.GetDouble()];
        }
        else if (_value.ValueKind == JsonValueKind.Array && _value.EnumerateArray().All(item => item.ValueKind == JsonValueKind.Number))
        {
            numbers = [.. _value.EnumerateArray().Select(item => item.GetDouble())];
        }

        return numbers is not null && numbers.All(double.IsFinite);
    }

    /// <summary>The value as a flag: true or false, or a number that is not or is zero. False for anything else.</summary>
    public bool TryGetFlag(out bool flag)
    {
        flag = _value.ValueKind == JsonValueKind.True || (_value.ValueKind == JsonValueKind.Number && _value.GetDouble() != 0);
        return _value.ValueKind is JsonValueKind.True or JsonValueKind.False or JsonValueKind.Number;
    }

    /// <summary>
    /// The limits that the label's properties state, as a pair of numbers; the form of it is not documented, and in any other there
    /// are none.
    /// </summary>
    public SettingRange? Bounds =>
        Properties is { } properties
        && properties.TryGetProperty("bounds", out var bounds)
        && bounds.ValueKind == JsonValueKind.Array && bounds.GetArrayLength() == 2
        && bounds[0].ValueKind == JsonValueKind.Number && bounds[1].ValueKind == JsonValueKind.Number
        && bounds[0].GetDouble() < bounds[1].GetDouble()
            ? new(bounds[0].GetDouble(), bounds[1].GetDouble())
            : null;

    /// <summary>Text of unknown origin made fit for a message: at most 80 characters, none that a terminal would obey.</summary>
    public static string Printable(string text) =>
        string.Concat(text.Take(80).Select(character => char.IsControl(character) || character > '\x7E' ? $"\\x{(int)character:X2}" : character.ToString()));

    /// <summary>
    /// Takes the messages out of what came between two terminators: they may be joined, as <c>}{</c>. What is none is given as text; the
    /// search then goes on at the next brace, so that the rest of an answer that was cut off costs none but that.
    /// </summary>
    public static IEnumerable<(WebSqMessage? Message, string? Nonsense)> ReadAll(byte[] bytes)
    {
        var position = 0;
        while (position < bytes.Length)
        {
            if (char.IsWhiteSpace((char)bytes[position]))
            {
                position++;
            }
            else if (TryReadAt(bytes, position, out var message, out var consumed))
            {
                position += consumed;
                yield return (message, null);
            }
            else
            {
                var next = FindNext(bytes, position);
                yield return (null, Printable(Encoding.Latin1.GetString(bytes, position, next - position)));
                position = next;
            }
        }
    }

    private static int FindNext(byte[] bytes, int position)
    {
        for (var next = position + 1; next < bytes.Length; next++)
        {
            if (bytes[next] == '{' && TryReadAt(bytes, next, out _, out _))
            {
                return next;
            }
        }

        return bytes.Length;
    }

    private static bool TryReadAt(byte[] bytes, int position, [NotNullWhen(true)] out WebSqMessage? message, out int consumed)
    {
        (message, consumed) = (null, 0);
        try
        {
            var reader = new Utf8JsonReader(bytes.AsSpan(position));
            if (!JsonDocument.TryParseValue(ref reader, out var document))
            {
                return false;
            }

            using (document)
            {
                consumed = (int)reader.BytesConsumed;
                return TryRead(document.RootElement.Clone(), out message);
            }
        }
        catch (JsonException)
        {
            return false;
        }
    }
}

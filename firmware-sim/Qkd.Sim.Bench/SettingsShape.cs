using System.ComponentModel;
using System.Globalization;
using System.Reflection;
using Microsoft.Extensions.Configuration;

namespace Qkd.Sim.Bench;

/// <summary>
/// Holds a section against the type that it is bound to: every setting must be one of the type's, of its kind. The binder alone would leave
/// out what it does not know, or name only the type.
/// </summary>
internal static class SettingsShape
{
    /// <summary>Checks a section and everything in it.</summary>
    /// <exception cref="EmulationConfigurationException">The first setting that is unknown or of the wrong kind, with its path.</exception>
    public static void Check(IConfigurationSection section, Type type)
    {
        type = Nullable.GetUnderlyingType(type) ?? type;
        if (EntryTypeOf(type, typeof(IReadOnlyList<>)) is { } elementType)
        {
            CheckElements(section, elementType);
        }
        else if (type == typeof(string) || TypeDescriptor.GetConverter(type).CanConvertFrom(typeof(string)))
        {
            CheckValue(section, type);
        }
        else
        {
            CheckObject(section, type);
        }
    }

    private static IEnumerable<PropertyInfo> PropertiesOf(Type type) =>
        type.GetProperties(BindingFlags.Public | BindingFlags.Instance).Where(property => property.CanWrite);

    private static Type? EntryTypeOf(Type type, Type generic) =>
        type.IsGenericType && type.GetGenericTypeDefinition() == generic ? type.GetGenericArguments()[^1] : null;

    private static void CheckObject(IConfigurationSection section, Type type)
    {
        RefuseValue(section, "a section");
        foreach (var child in section.GetChildren())
        {
            var property = PropertiesOf(type).FirstOrDefault(known => known.Name.Equals(child.Key, StringComparison.OrdinalIgnoreCase))
                ?? throw new EmulationConfigurationException(child.Path, $"there is no such setting; there are {string.Join(", ", PropertiesOf(type).Select(known => known.Name))}");

            Check(child, property.PropertyType);
        }
    }

    private static void CheckElements(IConfigurationSection section, Type type)
    {
        RefuseValue(section, "a list");
        var elements = section.GetChildren().ToList();
        foreach (var element in elements)
        {
            // The binder appends what has any other key.
            if (!int.TryParse(element.Key, NumberStyles.None, CultureInfo.InvariantCulture, out var index) || index >= elements.Count)
            {
                throw new EmulationConfigurationException(element.Path, $"'{element.Key}' is not the next place in the list of {elements.Count - 1}");
            }

            Check(element, type);
        }
    }

    private static void CheckValue(IConfigurationSection section, Type type)
    {
        if (section.GetChildren().Any())
        {
            throw new EmulationConfigurationException(section.Path, $"{KindOf(type)} is expected, not a section or a list");
        }

        if (section.Value is not { } text)
        {
            throw new EmulationConfigurationException(section.Path, $"{KindOf(type)} is expected, not null; left out, it has its default");
        }

        if (type == typeof(string))
        {
            return;
        }

        // The converter takes any number for an enumeration's.
        if (type.IsEnum && !Enum.GetNames(type).Contains(text, StringComparer.OrdinalIgnoreCase))
        {
            throw new EmulationConfigurationException(section.Path, $"'{text}' is not {KindOf(type)}");
        }

        try
        {
            TypeDescriptor.GetConverter(type).ConvertFromInvariantString(text);
        }
        catch (Exception e) when (e is FormatException or ArgumentException or NotSupportedException or OverflowException)
        {
            throw new EmulationConfigurationException(section.Path, $"'{text}' is not {KindOf(type)}", e);
        }
    }

    private static void RefuseValue(IConfigurationSection section, string expected)
    {
        // An empty list or section in the file arrives as an empty value.
        if (!string.IsNullOrEmpty(section.Value))
        {
            throw new EmulationConfigurationException(section.Path, $"{expected} is expected, not '{section.Value}'");
        }
    }

    private static string KindOf(Type type) => type switch
    {
        _ when type == typeof(bool) => "true or false",
        _ when type == typeof(int) || type == typeof(long) => "a whole number",
        _ when type == typeof(ulong) => "a whole number from 0",
        _ when type == typeof(double) => "a number",
        _ when type == typeof(string) => "a text",
        { IsEnum: true } => $"one of {string.Join(", ", Enum.GetNames(type))}",
        _ => type.Name,
    };
}
